// All that a request says of the object that it creates, beside the bytes.
import type { ObjectAttributes } from '../../objects/object-store.ts'
import type { Headers } from '../call.ts'
import { S3Error } from '../s3-error.ts'
import { parseSystemHeaders } from './system-headers.ts'
import { parseTagging } from './tagging.ts'
import { parseUserMetadata } from './user-metadata.ts'

/** All names of the S3 model are kept and shown (pitfall 120); REDUCED_REDUNDANCY has a code of its own besides. */
const STORAGE_CLASSES = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'OUTPOSTS',
  'GLACIER_IR',
  'SNOW',
  'EXPRESS_ONEZONE',
  'FSX_OPENZFS',
  'FSX_ONTAP',
])

/** Headers, user metadata, tags and storage class of PutObject, Create and Copy. */
export function parseAttributes(headers: Headers): ObjectAttributes {
  const tags = parseTagging(headers)
  return {
    headers: parseSystemHeaders(headers),
    userMetadata: parseUserMetadata(headers),
    storageClass: parseStorageClass(headers),
    ...(tags.length > 0 ? { tags } : {}),
  }
}

/** x-amz-storage-class; STANDARD when there is none. */
function parseStorageClass(headers: Headers): string {
  const storageClass = headers['x-amz-storage-class'] || 'STANDARD'
  if (!STORAGE_CLASSES.has(storageClass))
    throw new S3Error('InvalidStorageClass', { StorageClassRequested: storageClass })
  return storageClass
}
