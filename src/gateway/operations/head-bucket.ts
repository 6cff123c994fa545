// HEAD bucket: it is there, and in which region.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
import type { Call, Reply } from '../call.ts'
import { bucketArn } from '../reply.ts'
import { findBucket } from './steps/find-bucket.ts'

/** Answers 200 with region and ARN in the headers; throws NoSuchBucket, of which a HEAD shows the status alone. */
export async function headBucket(call: Call): Promise<Reply> {
  const { name, region } = await findBucket(call)
  return {
    status: 200,
    headers: {
      'content-type': 'application/xml',
      'x-amz-bucket-arn': bucketArn(name),
      'x-amz-bucket-region': region,
      'x-amz-access-point-alias': 'false',
    },
  }
}
