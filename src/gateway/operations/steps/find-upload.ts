// Finds the upload that a request continues, or says that there is none.
import type { Bucket, Uid, Upload } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'
import { noSuchUpload } from '../../headers/part-number.ts'

/** Throws NoSuchUpload where the key has none of this id under way. */
export async function findUpload(
  { objects, key }: Call,
  bucket: Bucket,
  uploadId: Uid,
): Promise<Upload> {
  const upload = await objects.findUpload(bucket, key, uploadId)
  if (!upload) throw noSuchUpload(uploadId)
  return upload
}
