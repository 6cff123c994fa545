// Tokens with which nodes join: text for people to carry from one machine to another. It says where the cluster is, and
// names a key of etcd that the first one to use it marks as used.
import { asBuffer } from '../kit/bytes.ts'
import type { World } from '../kit/world.ts'

/** What a token says. */
export interface JoinToken {
  endpoints: readonly string[]
  prefix: string
  clusterId: string
  /** 32 hex digits. */
  id: string
}

const BEGINNING = 'kintsugi-join-'
const ID_BYTES = 16

/** A token that nobody has yet. */
export function newJoinToken(
  where: Omit<JoinToken, 'id'>,
  { random }: Pick<World, 'random'>,
): JoinToken {
  return { ...where, id: asBuffer(random.bytes(ID_BYTES)).toString('hex') }
}

/** As one word. */
export function encodeJoinToken({ endpoints, prefix, clusterId, id }: JoinToken): string {
  const text = JSON.stringify([endpoints, prefix, clusterId, id])
  return `${BEGINNING}${Buffer.from(text).toString('base64url')}`
}

/** Undefined for anything else. */
export function parseJoinToken(word: string): JoinToken | undefined {
  if (!word.startsWith(BEGINNING)) return undefined
  const found = parseArray(Buffer.from(word.slice(BEGINNING.length), 'base64url').toString('utf8'))
  const [endpoints, prefix, clusterId, id] = found ?? []
  if (!Array.isArray(endpoints) || !endpoints.every((one) => typeof one === 'string')) return
  if (typeof prefix !== 'string' || typeof clusterId !== 'string') return undefined
  if (typeof id !== 'string' || !/^[0-9a-f]{32}$/.test(id)) return undefined
  const token = { endpoints, prefix, clusterId, id }
  // base64 takes more than was given out: a word with something behind it is not the one that was meant.
  return encodeJoinToken(token) === word ? token : undefined
}

function parseArray(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch {
    return undefined // Half of a token, or another word.
  }
}
