// The answers of CreateMultipartUpload and CompleteMultipartUpload.
import type { ObjectVersion, Uid } from '../../../objects/object-store.ts'
import { checksumElements } from '../checksum-elements.ts'
import { document, element } from '../write.ts'

/** Root InitiateMultipartUploadResult. */
export function createdUploadDocument(bucket: string, key: string, uploadId: Uid): string {
  return document(
    'InitiateMultipartUploadResult',
    element('Bucket', bucket) + element('Key', key) + element('UploadId', uploadId),
  )
}

/** What was completed, and where it is to be found. */
export interface CompletedUpload {
  location: string
  bucket: string
  key: string
  version: ObjectVersion
}

/** Root CompleteMultipartUploadResult; the checksum with its type. */
export function completedUploadDocument(completed: CompletedUpload): string {
  return document(
    'CompleteMultipartUploadResult',
    element('Location', completed.location) +
      element('Bucket', completed.bucket) +
      element('Key', completed.key) +
      element('ETag', `"${completed.version.etag}"`) +
      checksumElements(completed.version.checksum),
  )
}
