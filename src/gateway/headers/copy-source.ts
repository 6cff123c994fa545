// x-amz-copy-source: bucket, key and perhaps a version, percent-encoded, with or without a leading slash
// (pitfall 97).
import { isBucketName } from '../address.ts'
import { S3Error } from '../s3-error.ts'

/** Where a copy reads from. */
export interface CopySource {
  bucket: string
  key: string
  versionId: string | undefined
}

/** The version is split off before decoding: a key may hold `?versionId=` itself, as %3F. */
export function parseCopySource(header: string): CopySource {
  const [path = '', versionId] = splitVersion(header)
  const decoded = decode(path.replace(/^\//, ''))
  const slash = decoded.indexOf('/')
  const bucket = slash < 0 ? decoded : decoded.slice(0, slash)
  const key = slash < 0 ? '' : decoded.slice(slash + 1)
  if (!isBucketName(bucket)) throw invalid('bucket name', header)
  if (key === '' || Buffer.byteLength(key) > 1024) throw invalid('object key', header)
  return { bucket, key, versionId: versionId === undefined ? undefined : decode(versionId) }
}

function splitVersion(header: string): [path: string, versionId?: string] {
  const start = header.lastIndexOf('?versionId=')
  if (start < 0) return [header]
  return [header.slice(0, start), header.slice(start + '?versionId='.length)]
}

// `+` is a space here, other than in a path: so AWS reads it, and s5cmd and all who encode as forms do write it.
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw invalid('encoding', text, cause)
  }
}

function invalid(what: 'encoding' | 'bucket name' | 'object key', value: string, cause?: unknown) {
  return new S3Error(
    'InvalidArgument',
    { ArgumentName: 'x-amz-copy-source', ArgumentValue: value },
    { message: `Invalid copy source ${what}`, cause },
  )
}
