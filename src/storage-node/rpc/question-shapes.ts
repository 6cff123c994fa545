// The shapes of questions to a metadata partition and of their answers: metadata/contract.ts says what they mean.
import type {
  AnnotationScan,
  BlobReference,
  Garbage,
  ListedVersion,
  ObjectScan,
  OwedBlob,
  Queries,
  ScanEntry,
  ScanPage,
  UploadCensus,
  UploadScan,
  VersionScan,
} from '../../metadata/contract.ts'
import type { QuestionName } from '../../metadata/questions.ts'
import type { Annotation, Blob, Part } from '../../metadata/records.ts'
import {
  annotation,
  anyVersion,
  blob,
  bucketRef,
  listedObject,
  part,
  partNumber,
  upload,
  versionId,
} from './record-shapes.ts'
import {
  bytes,
  count,
  countUpTo,
  flag,
  just,
  list,
  number,
  optional,
  orText,
  orUndefined,
  record,
  type Shape,
  text,
  uid,
  variants,
} from './shapes.ts'
import { BadMessage } from './trouble.ts'

type Asked<Name extends QuestionName> = Parameters<Queries[Name]>
type Shapes<Values extends readonly unknown[]> = { [Place in keyof Values]-?: Shape<Values[Place]> }
type Answered<Name extends QuestionName> = Awaited<ReturnType<Queries[Name]>>

/** Entries of an answer: a page of a listing has 1,001 at most, and what upkeep asks for less. */
const limit = countUpTo(10_000)

const scan = {
  bucket: bucketRef,
  prefix: text,
  after: text,
  afterPrefix: flag,
  delimiter: text,
  limit,
}

const blobName = record<Pick<Blob, 'uid' | 'part'>>({ uid, part: partNumber })

const owedBlob = record<OwedBlob>({
  bucketId: optional(count),
  key: optional(text),
  blob,
  uploadId: optional(uid),
  rowKey: optional(bytes),
})

const blobReference = record<BlobReference>({
  rowKey: bytes,
  bucketId: orUndefined(count),
  key: orUndefined(text),
  blob,
})

const garbage = record<Garbage>({ dueMs: number, bucketId: count, blob })

/** What is asked, by the name of the question: as many values as it takes, those that are not given as undefined. */
const ASKED: { [Name in QuestionName]: Shapes<Asked<Name>> } = {
  getObject: [bucketRef, text, orUndefined(text)],
  getManifest: [uid],
  scanObjects: [record<ObjectScan>(scan)],
  getUpload: [bucketRef, text, uid],
  listParts: [uid, number, limit],
  scanUploads: [record<UploadScan>({ ...scan, afterUploadId: text })],
  scanVersions: [record<VersionScan>({ ...scan, afterVersionId: text })],
  countUploads: [],
  getAnnotation: [versionId, text],
  scanAnnotations: [versionId, record<AnnotationScan>({ prefix: text, after: text, limit })],
  scanBlobs: [orUndefined(bytes), limit],
  owedBlobs: [limit],
  findBlob: [owedBlob],
  findInOrder: [record<Asked<'findInOrder'>[0]>({ bucketId: count, key: text }), list(blobName)],
  settle: [],
  dueGarbage: [number, limit, orUndefined(garbage)],
}

function scanPage<Record>(shape: Shape<Record>): Shape<ScanPage<Record>> {
  type Entry = Extract<ScanEntry<Record>, { kind: 'entry' }>
  const entry = record<{ kind: 'entry'; key: string; record: unknown }>({
    kind: just('entry'),
    key: text,
    record: shape,
  }) as Shape<Entry>
  const prefix = record<{ kind: 'prefix'; prefix: string }>({ kind: just('prefix'), prefix: text })
  const entries = list(variants<ScanEntry<Record>, 'kind'>('kind', { entry, prefix }))
  return record<ScanPage<unknown>>({ entries, more: flag }) as Shape<ScanPage<Record>>
}

function orGone<Value>(shape: Shape<Value>): Shape<Value | 'bucket-gone'> {
  return orText(shape, 'bucket-gone')
}

const listedVersion = record<ListedVersion>({ version: anyVersion, isLatest: flag })

const ANSWERED: { [Name in QuestionName]: Shape<Answered<Name>> } = {
  getObject: orGone(orUndefined(anyVersion)),
  getManifest: list(part),
  scanObjects: orGone(scanPage(listedObject)),
  getUpload: orUndefined(upload),
  listParts: record<{ parts: Part[]; more: boolean }>({ parts: list(part), more: flag }),
  scanUploads: orGone(scanPage(upload)),
  scanVersions: orGone(scanPage(listedVersion)),
  countUploads: record<UploadCensus>({
    count,
    parts: count,
    bytes: count,
    oldestMs: orUndefined(number),
  }),
  getAnnotation: orUndefined(annotation),
  scanAnnotations: record<{ annotations: Annotation[]; more: boolean }>({
    annotations: list(annotation),
    more: flag,
  }),
  scanBlobs: record<Answered<'scanBlobs'>>({
    references: list(blobReference),
    after: orUndefined(bytes),
    more: flag,
  }),
  owedBlobs: list(owedBlob),
  findBlob: orUndefined(blobReference),
  findInOrder: list(orUndefined(blobReference)),
  settle: just(undefined),
  dueGarbage: list(garbage),
}

/** Whether there is such a question. */
export function isQuestion(name: string): name is QuestionName {
  return Object.hasOwn(ASKED, name)
}

/** What is asked with the question. */
export function askedShape<Name extends QuestionName>(name: Name): Shape<Asked<Name>> {
  const shapes: readonly Shape<unknown>[] = ASKED[name]
  return (found, unknownFields) => {
    if (!Array.isArray(found) || found.length > shapes.length) {
      throw new BadMessage('a question has too much with it')
    }
    // TypeScript does not see that these are the shapes of what the question takes.
    return shapes.map((shape, place) => shape(found[place], unknownFields)) as Asked<Name>
  }
}

/** What the question answers. */
export function answeredShape<Name extends QuestionName>(name: Name): Shape<Answered<Name>> {
  return ANSWERED[name]
}
