// Requests for encrypted objects, for tests over the wire.
import { createHash } from 'node:crypto'
import { type Answer, ask, type Wire } from './wire.ts'

const SSE = 'x-amz-server-side-encryption'

type HeaderMap = Record<string, string>

/** A kind of encryption: what a write sends, what a read has to send, and what every answer shows. */
export interface Kind {
  name: string
  write: HeaderMap
  read: HeaderMap
  shown: HeaderMap
}

/** The three headers of SSE-C for a key of these bytes; `prefix` for the source of a copy. */
export function customerHeaders(fill: number, prefix = SSE): HeaderMap {
  const key = Buffer.alloc(32, fill)
  return {
    [`${prefix}-customer-algorithm`]: 'AES256',
    [`${prefix}-customer-key`]: key.toString('base64'),
    [`${prefix}-customer-key-md5`]: createHash('md5').update(key).digest('base64'),
  }
}

/** The same headers for a source. */
export function sourceHeaders({ read }: Kind): HeaderMap {
  return Object.fromEntries(
    Object.entries(read).map(([name, value]) => [
      name.replace('x-amz-', 'x-amz-copy-source-'),
      value,
    ]),
  )
}

function customerKind(name: string, fill: number): Kind {
  const { [`${SSE}-customer-key`]: _, ...shown } = customerHeaders(fill)
  return { name, write: customerHeaders(fill), read: customerHeaders(fill), shown }
}

export const PLAIN: Kind = { name: 'plain', write: {}, read: {}, shown: {} }
export const SSE_S3: Kind = {
  name: 'SSE-S3',
  write: { [SSE]: 'AES256' },
  read: {},
  shown: { [SSE]: 'AES256' },
}
export const SSE_KMS: Kind = {
  name: 'SSE-KMS',
  write: {
    [SSE]: 'aws:kms',
    [`${SSE}-aws-kms-key-id`]: 'photos',
    [`${SSE}-context`]: Buffer.from('{"a":"b"}').toString('base64'),
  },
  read: {},
  shown: { [SSE]: 'aws:kms', [`${SSE}-aws-kms-key-id`]: 'photos' },
}
export const SSE_C = customerKind('SSE-C', 7)
export const OTHER_SSE_C = customerKind('another SSE-C', 8)

/** All that are encrypted. */
export const KINDS: readonly Kind[] = [SSE_S3, SSE_KMS, SSE_C]

/** The headers of an answer that say how it is encrypted. */
export function shownBy({ headers }: Answer): HeaderMap {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(SSE)))
}

/** PUT that must succeed. */
export async function putAs(
  wire: Wire,
  path: string,
  body: string | Uint8Array,
  kind: Kind,
): Promise<Answer> {
  const answer = await ask(wire, { method: 'PUT', path, body, headers: kind.write })
  if (answer.status !== 200) throw new Error(`PUT ${path} ${kind.name}: ${answer.text}`)
  return answer
}

/** PUT bucket?encryption with one rule. */
export function setDefault(wire: Wire, bucket: string, rule: string): Promise<Answer> {
  const body = `<ServerSideEncryptionConfiguration><Rule>${rule}</Rule></ServerSideEncryptionConfiguration>`
  return ask(wire, { method: 'PUT', path: `/${bucket}`, query: { encryption: '' }, body })
}

/** A rule that names a method. */
export function ruleOf(method: string, more = ''): string {
  const by = 'ApplyServerSideEncryptionByDefault'
  return `<${by}><SSEAlgorithm>${method}</SSEAlgorithm>${more}</${by}>`
}
