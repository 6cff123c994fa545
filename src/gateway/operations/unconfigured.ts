// Operations that are recognised but not built: reading says truthfully that nothing was ever set, clearing is
// done already, setting is refused. Bucket and object must be there all the same.
import type { Call, Operation } from '../call.ts'
import { noContent, xmlReply } from '../reply.ts'
import { S3Error, type S3ErrorCode } from '../s3-error.ts'
import { findBucket } from './steps/find-bucket.ts'
import { findObject } from './steps/find-object.ts'

/** What S3 calls an error while it is not set (pitfall 96): mostly GET, and DELETE of one of several configurations by its id. */
export function absent(code: S3ErrorCode): Operation {
  return async (call) => {
    await findResource(call)
    const elements = call.key === '' ? { BucketName: call.bucket } : { Key: call.key }
    throw new S3Error(code, elements)
  }
}

/** GET of what has a document while it is not set. */
export function unset(text: string): Operation {
  return async (call) => {
    await findResource(call)
    return xmlReply(text)
  }
}

/** DELETE of what was never set. */
export const cleared: Operation = async (call) => {
  await findResource(call)
  return noContent()
}

/** Everything else: 501, by name, so that nobody believes that it was done. */
export const notImplemented: Operation = async (call) => {
  await findResource(call)
  throw new S3Error(
    'NotImplemented',
    { AdditionalMessage: call.operation },
    { message: `${call.operation} is not implemented yet.` },
  )
}

async function findResource(call: Call): Promise<void> {
  if (call.bucket === '') return
  const bucket = await findBucket(call)
  if (call.key !== '' && !WITHOUT_OBJECT.has(call.operation)) await findObject(call, bucket)
}

/** These make the object that they name. */
const WITHOUT_OBJECT: ReadonlySet<string> = new Set(['PostObject', 'RenameObject'])
