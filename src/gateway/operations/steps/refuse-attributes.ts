// Where an object keeps what it has, a request that would say something else of it is refused, never half done.
import type { Headers } from '../../call.ts'
import { S3Error } from '../../s3-error.ts'

const PREFIXES = ['x-amz-meta-', 'x-amz-object-lock-']
const NAMES = ['x-amz-tagging', 'x-amz-storage-class', 'x-amz-website-redirect-location']

/** Throws NotImplemented with the first header that describes an object. `more`: further prefixes. */
export function refuseAttributes(headers: Headers, more: readonly string[] = []): void {
  const prefixes = [...PREFIXES, ...more]
  for (const [name, value] of Object.entries(headers)) {
    const describes = NAMES.includes(name) || prefixes.some((prefix) => name.startsWith(prefix))
    if (value && describes) throw new S3Error('NotImplemented', { Header: name })
  }
}
