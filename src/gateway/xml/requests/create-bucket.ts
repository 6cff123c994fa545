// The body of CreateBucket: where the bucket is to be, and settings that this store does not have.
import { S3Error } from '../../s3-error.ts'
import { malformed, readXml, textOf } from '../read.ts'

const NOT_BUILT: ReadonlySet<string> = new Set(['Bucket', 'Location', 'Tags'])

/** The LocationConstraint; undefined when there is none. An empty body is an empty configuration. */
export function readLocationConstraint(text: string): string | undefined {
  if (text === '') return undefined
  const configuration = readXml(text, 'CreateBucketConfiguration')
  for (const { name } of configuration.children) {
    if (NOT_BUILT.has(name))
      throw new S3Error('NotImplemented', {
        AdditionalMessage: `CreateBucketConfiguration.${name}`,
      })
    if (name !== 'LocationConstraint') throw malformed()
  }
  return textOf(configuration, 'LocationConstraint')?.trim() || undefined
}
