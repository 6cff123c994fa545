// The body of CreateBucket: where the bucket is to be, and settings that this store does not have.
import { S3Error } from '../../s3-error.ts'
import { readXml, textOf } from '../read.ts'

/** The LocationConstraint; undefined when there is none. An empty body is an empty configuration. */
export function readLocationConstraint(text: string): string | undefined {
  if (text === '') return undefined
  const configuration = readXml(text, 'CreateBucketConfiguration')
  for (const { name } of configuration.children) {
    if (name === 'Bucket' || name === 'Location' || name === 'Tags')
      throw new S3Error('NotImplemented', {
        AdditionalMessage: `CreateBucketConfiguration.${name}`,
      })
  }
  return textOf(configuration, 'LocationConstraint')?.trim() || undefined
}
