// Annotations of a version: texts of up to a mebibyte, stored as blobs and encrypted as the version is.
import type { Uid } from '../kit/uid.ts'
import type { NewAnnotation, ReachablePartition } from '../metadata/contract.ts'
import {
  type Annotation,
  type Encryption,
  type ObjectVersion,
  originOf,
} from '../metadata/records.ts'
import { readCached } from './cached-read.ts'
import { openSealing, type Sealing } from './data-keys.ts'
import { readEncrypted } from './decrypt-read.ts'
import type { MetadataClient } from './metadata-client.ts'
import type {
  AnnotateOutcome,
  AnnotateRequest,
  Body,
  Bucket,
  StoredObject,
} from './object-store.ts'
import { commitStored, discardStored, storeBody } from './store-body.ts'
import type { StoreParts } from './store-parts.ts'

/** Annotations that a copy reads at a time. */
const LISTED_AT_ONCE = 100

/** The source of a copy was overwritten, deleted or annotated while its annotations were read: copy again. */
export class SourceChanged extends Error {
  override readonly name = 'SourceChanged'
  readonly code = 'SOURCE_CHANGED'
}

/** Where annotations are to go. */
interface Target {
  bucket: Bucket
  key: string
  storageClass: string
  sealing: Sealing | undefined
  /** The first blob, or the upload, of the version: absent when that has no bytes. */
  of?: Uid
}

/** Stores the text, then names it in the version. */
export async function annotate(
  request: AnnotateRequest,
  metadata: MetadataClient,
  parts: StoreParts,
): Promise<AnnotateOutcome> {
  const { bucket, key, version, name, ifMatch, body, signal } = request
  const sealing = version.encryption && (await openSealing(version.encryption, undefined, parts))
  const of = version.blob ? originOf(version.blob) : version.manifest?.uid
  const target = {
    ...{ bucket, key, storageClass: version.storageClass, sealing },
    ...(of ? { of } : {}),
  }
  const annotation = await storeAnnotation(target, name, body, parts, signal)
  return await commitStored([annotation], parts, () =>
    metadata.commit(bucket, key, (envelope) => ({
      ...envelope,
      kind: 'put-annotation',
      versionId: version.versionId,
      annotation,
      ...(ifMatch ? { ifMatch } : {}),
    })),
  )
}

/** Copies of all annotations of `source`. When one can not be made none stays. */
export async function copyAnnotations(
  source: StoredObject,
  target: Target,
  parts: StoreParts,
  signal: AbortSignal,
): Promise<NewAnnotation[]> {
  const copies: NewAnnotation[] = []
  try {
    for await (const annotation of allAnnotations(source)) {
      const body = bodyOf(source, annotation, signal)
      copies.push(await storeAnnotation(target, annotation.name, body, parts, signal))
    }
    if (!(await source.isUnchanged())) throw new SourceChanged('the source of the copy was changed')
  } catch (error) {
    for (const copy of copies) await discardStored(copy, parts)
    throw error
  }
  return copies
}

/** The annotation of that name of a version that was found. */
export async function findAnnotation(
  { annotationsId }: ObjectVersion,
  name: string,
  metadata: ReachablePartition,
): Promise<Annotation | undefined> {
  if (annotationsId === undefined) return undefined
  return await metadata.getAnnotation(annotationsId, name)
}

async function storeAnnotation(
  { of, ...target }: Target,
  name: string,
  body: Body,
  parts: StoreParts,
  signal: AbortSignal,
): Promise<NewAnnotation> {
  const role = { kind: 'annotation' as const, name, ...(of ? { of } : {}) }
  const owner = { ...target, part: 0, role }
  return { name, ...(await storeBody(owner, body, parts, { signal })) }
}

/** The text of an annotation of a version that is encrypted so. */
export async function* readAnnotation(
  { blob, bytes }: Annotation,
  encryption: Encryption | undefined,
  parts: StoreParts,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (!blob) return
  const range = { first: 0, last: bytes - 1 }
  if (!encryption) {
    yield* readCached(blob, range, parts, { signal })
    return
  }
  const { dataKey } = await openSealing(encryption, undefined, parts)
  yield* readEncrypted({ blob, plainBytes: bytes, dataKey }, range, parts, { signal })
}

async function* allAnnotations(source: StoredObject): AsyncGenerator<Annotation> {
  for (let after = ''; ; ) {
    const page = await source.listAnnotations({ prefix: '', after, limit: LISTED_AT_ONCE })
    for (const annotation of page.annotations) {
      yield annotation
      after = annotation.name
    }
    if (!page.more) return
  }
}

/** Checked on its way as every read is; ETag and checksum stay what they were. */
function bodyOf(source: StoredObject, annotation: Annotation, signal: AbortSignal): Body {
  const { bytes, etag, checksum } = annotation
  return {
    bytes,
    chunks: source.readAnnotation(annotation, signal),
    finish: () => ({ md5: etag, ...(checksum ? { checksum } : {}) }),
  }
}
