// The state of the cluster as keys of etcd, and back. Layout: docs/formats/etcd-keys.md.
// One key would not do: etcd takes 1.5 MiB at a time, and ten thousand buckets have more.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { ClusterMap } from '../cluster-map.ts'
import type { Bucket, ClusterState, MetaPartitionState } from '../coordinator.ts'
import type { Change } from './etcd-wire.ts'
import type { KeyImage } from './key-image.ts'

/** Said to people where readAgreed() finds nothing. */
export const NO_CLUSTER =
  'no cluster is in etcd under this prefix: kintsugi cluster init makes one, and restore-coordinator brings back one that etcd lost'

/** What every decision changes: its place in history. */
export interface Head {
  /** Grows when the coordinator is restored. Every epoch of a generation is above all of those before. */
  generation: number
  epoch: number
  /** Random: two decisions of one epoch are told apart by it. */
  id: string
  /** The decisions before, oldest first. */
  ancestors: [epoch: number, id: string][]
  /** Somebody is writing it anew: nobody believes the other keys. */
  isBeingRestored?: true
}

/** What was agreed on, and when. */
export interface Agreed {
  head: Head
  state: ClusterState
}

/** Keys behind the prefix. */
export const HEAD_KEY = 'head'
const MAP_KEY = 'map'
const PARTITIONS_KEY = 'partitions'
/** With the name of the bucket behind it. */
export const BUCKET_KEYS = 'bucket/'

/** So many ancestors are in a head; a page of history has as many. */
export const ANCESTORS = 64

/** The first epoch of a generation is so many times its number. */
export const EPOCHS_OF_GENERATION = 2 ** 32

const FORMAT = 1

type Small = Omit<ClusterState, 'map' | 'metaPartitions' | 'buckets' | 'epoch'>

interface HeadValue extends Head {
  format: number
  state: Small
}

// What was parsed of a value. Values never change, and neither does what comes of them.
const parsed = new WeakMap<Uint8Array, unknown>()

/** Undefined when no cluster was made there. Throws what says which key can not be read. */
export function readAgreed({ keys }: Pick<KeyImage, 'keys'>): Agreed | undefined {
  const value = keys.get(HEAD_KEY)?.value
  if (value === undefined) return undefined
  const { format, state: small, ...head } = parse<HeadValue>(HEAD_KEY, value, fromJson)
  if (format !== FORMAT) throw new Error(`the state in etcd has format ${format}, not ${FORMAT}`)
  const read = <T>(key: string, decode: (bytes: Uint8Array) => unknown): T => {
    const found = keys.get(key)?.value
    if (found === undefined) throw new Error(`the state in etcd has no ${key}`)
    return parse<T>(key, found, decode)
  }
  const buckets: Record<string, Bucket> = {}
  for (const [key, { value: bytes }] of keys) {
    if (!key.startsWith(BUCKET_KEYS)) continue
    buckets[key.slice(BUCKET_KEYS.length)] = parse<Bucket>(key, bytes, fromJson)
  }
  const map = read<ClusterMap>(MAP_KEY, fromDeflated)
  const metaPartitions = read<MetaPartitionState[]>(PARTITIONS_KEY, fromJson)
  return { head, state: { ...small, epoch: head.epoch, map, metaPartitions, buckets } }
}

/** The keys that differ between two states, and the head. What is the same object was not changed. */
export function changedKeys(
  before: ClusterState | undefined,
  next: Omit<ClusterState, 'epoch'>,
  head: Head,
): Change[] {
  const { map, metaPartitions, buckets, ...rest } = next
  const { epoch: _epoch, ...small } = rest as Small & { epoch?: number }
  const value: HeadValue = { format: FORMAT, ...head, state: small }
  const changes: Change[] = [put(HEAD_KEY, toJson(value))]
  if (map !== before?.map) changes.push(put(MAP_KEY, deflateRawSync(toJson(map))))
  if (metaPartitions !== before?.metaPartitions)
    changes.push(put(PARTITIONS_KEY, toJson(metaPartitions)))
  for (const [name, bucket] of Object.entries(buckets)) {
    if (bucket !== ownOf(before?.buckets, name))
      changes.push(put(`${BUCKET_KEYS}${name}`, toJson(bucket)))
  }
  for (const name of Object.keys(before?.buckets ?? {})) {
    if (!Object.hasOwn(buckets, name))
      changes.push({ kind: 'delete', key: `${BUCKET_KEYS}${name}` })
  }
  return changes
}

/** A value as etcd has it. Fields keep their order, so that equal records that were made alike are equal as bytes. */
export function toJson(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

/** What toJson() was given. Throws SyntaxError where it is no JSON; what it says is not checked. */
export function fromJson(bytes: Uint8Array): unknown {
  return JSON.parse(Buffer.from(bytes).toString('utf8'))
}

function ownOf<T>(record: Record<string, T> | undefined, name: string): T | undefined {
  return record && Object.hasOwn(record, name) ? record[name] : undefined
}

function put(key: string, value: Uint8Array): Change {
  return { kind: 'put', key, value }
}

function fromDeflated(bytes: Uint8Array): unknown {
  return fromJson(inflateRawSync(bytes))
}

function parse<T>(key: string, bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown): T {
  const known = parsed.get(bytes)
  if (known !== undefined) return known as T
  try {
    const value = decode(bytes)
    parsed.set(bytes, value)
    return value as T
  } catch (cause) {
    throw new Error(`${key} in etcd can not be read`, { cause })
  }
}
