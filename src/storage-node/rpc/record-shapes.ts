// The shapes of metadata records as they travel between processes: those of metadata/records.ts, under their names.
import { MatrixId } from '../../kit/erasure-code.ts'
import {
  type Annotation,
  type AnyVersion,
  type Blob,
  type BucketRef,
  CHECKSUM_ALGORITHMS,
  type Checksum,
  type DeleteMarker,
  type Encryption,
  type ListedObject,
  type ObjectVersion,
  type Part,
  type Retention,
  type SystemHeaders,
  type Tag,
  type Upload,
} from '../../metadata/records.ts'
import { versionIdBytes } from '../../metadata/rows/version-id.ts'
import {
  bytes,
  choice,
  count,
  countUpTo,
  flag,
  hasField,
  just,
  list,
  number,
  optional,
  record,
  type Shape,
  text,
  texts,
  uid,
  variants,
} from './shapes.ts'
import { BadMessage } from './trouble.ts'

const yes = just(true)

/** Numbers of parts fit into 16 bits on disk. */
export const partNumber = countUpTo(0xffff)

/** The id of a version as rows have it. */
export const versionId: Shape<string> = (found, unknownFields) => {
  const id = text(found, unknownFields)
  if (versionIdBytes(id) === undefined) throw new BadMessage('the id of a version is none')
  return id
}

/** A bucket as a command or query names it. */
export const bucketRef = record<BucketRef>({
  id: count,
  revision: count,
  versioning: choice(['unversioned', 'enabled', 'suspended']),
})

/** Where the bytes of a blob are. Whether it has as many drives as its code has shards is not looked at. */
export const blob = record<Blob>({
  uid,
  origin: optional(uid),
  part: partNumber,
  bytes: count,
  code: record<Blob['code']>({
    dataCount: countUpTo(255),
    parityCount: countUpTo(255),
    matrix: choice(Object.values(MatrixId)),
  }),
  cellBytes: count,
  partition: count,
  drives: list(countUpTo(0xffff)),
})

/** Whether `value` can be one of that algorithm is not looked at. */
export const checksum = record<Checksum>({
  algorithm: choice(CHECKSUM_ALGORITHMS),
  type: choice(['FULL_OBJECT', 'COMPOSITE']),
  value: text,
})

/** Of any length: the gateway looked at that. */
export const tag = record<Tag>({ key: text, value: text })

/** `untilMs`: milliseconds since 1970. */
export const retention = record<Retention>({
  mode: choice(['GOVERNANCE', 'COMPLIANCE']),
  untilMs: number,
})

type EncryptionOf<Kind> = Extract<Encryption, { kind: Kind }>

const encryption = variants<Encryption, 'kind'>('kind', {
  'SSE-S3': record<EncryptionOf<'SSE-S3'>>({ kind: just('SSE-S3'), wrappedKey: bytes }),
  'SSE-KMS': record<EncryptionOf<'SSE-KMS'>>({
    kind: just('SSE-KMS'),
    wrappedKey: bytes,
    keyId: text,
    context: optional(text),
    bucketKey: optional(yes),
  }),
  'SSE-C': record<EncryptionOf<'SSE-C'>>({
    kind: just('SSE-C'),
    wrappedKey: bytes,
    keyMd5: text,
  }),
})

const attributes = {
  headers: record<SystemHeaders>({
    contentType: optional(text),
    cacheControl: optional(text),
    contentDisposition: optional(text),
    contentEncoding: optional(text),
    contentLanguage: optional(text),
    expires: optional(text),
    websiteRedirectLocation: optional(text),
  }),
  userMetadata: texts,
  storageClass: text,
  tags: optional(list(tag)),
  retention: optional(retention),
  legalHold: optional(flag),
}

/** The fields of a VersionName. */
export const versionName = { versionId, versioned: optional(yes) }

/** What of a version does not come from the log. */
export const versionFields = {
  ...attributes,
  bytes: count,
  etag: text,
  checksum: optional(checksum),
  blob: optional(blob),
  manifest: optional(record<NonNullable<ObjectVersion['manifest']>>({ uid, partCount: count })),
  annotationsId: optional(versionId),
  encryption: optional(encryption),
}

/** A version with what the log gave it, its id, time and edits. */
export const objectVersion = record<ObjectVersion>({
  ...versionName,
  ...versionFields,
  modifiedMs: number,
  editId: optional(uid),
  unconfirmed: optional(yes),
})

/** What a listing shows of one. */
export const listedObject = record<ListedObject>({
  modifiedMs: number,
  bytes: count,
  etag: text,
  storageClass: text,
  checksum: optional(
    record<NonNullable<ListedObject['checksum']>>({
      algorithm: choice(CHECKSUM_ALGORITHMS),
      type: choice(['FULL_OBJECT', 'COMPOSITE']),
    }),
  ),
})

/** A delete marker. `deleteMarker` tells it from an object. */
export const deleteMarker = record<DeleteMarker>({
  ...versionName,
  deleteMarker: yes,
  modifiedMs: number,
})

/** With a field `deleteMarker` it is a marker, or refused; without one an object. */
export const anyVersion: Shape<AnyVersion> = (found, unknownFields) => {
  const isMarker = hasField(found, 'deleteMarker')
  return isMarker ? deleteMarker(found, unknownFields) : objectVersion(found, unknownFields)
}

/** What of an annotation does not come from the log. */
export const annotationFields = {
  name: text,
  bytes: count,
  etag: text,
  checksum: optional(checksum),
  blob: optional(blob),
}

/** An annotation with the time that the log gave it. */
export const annotation = record<Annotation>({ ...annotationFields, modifiedMs: number })

/** What of an upload does not come from the log. */
export const uploadFields = {
  ...attributes,
  uploadId: uid,
  checksumAlgorithm: optional(choice(CHECKSUM_ALGORITHMS)),
  checksumType: optional(choice(['FULL_OBJECT', 'COMPOSITE'])),
  encryption: optional(encryption),
}

/** An upload with the time at which it began, by the log. */
export const upload = record<Upload>({ ...uploadFields, initiatedMs: number })

/** What of a part comes neither from the log nor from its place. */
export const partFields = {
  bytes: count,
  etag: text,
  checksum: optional(checksum),
  blob: optional(blob),
}

/** A part with its number, and the time that the log gave it. */
export const part = record<Part>({ ...partFields, number: partNumber, modifiedMs: number })
