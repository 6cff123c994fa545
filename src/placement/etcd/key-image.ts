// What etcd has under our prefix, read whole or by what is new. Unchanged values keep their identity, so that what was
// parsed of them once is found again.

import type { EtcdClient } from './etcd-client.ts'
import { type Change, endOfPrefix, type KeyValue } from './etcd-wire.ts'

/** The keys of one moment, by their names behind the prefix. */
export interface KeyImage {
  /** Of etcd, not ours. */
  clusterId: string
  revision: number
  keys: ReadonlyMap<string, ImageValue>
}

/** A value of etcd, and the revision of its last change. */
export type ImageValue = Pick<KeyValue, 'value' | 'modRevision'>

// Buckets have 64 KiB at most and the map less than 1 MiB: a page stays below 10 MiB.
const PAGE_KEYS = 128

/** Everything under `prefix`, as of one revision. */
export async function readWhole(etcd: EtcdClient, prefix: string): Promise<KeyImage> {
  const keys = new Map<string, ImageValue>()
  const rangeEnd = endOfPrefix(prefix)
  let key = prefix
  let first: Pick<KeyImage, 'clusterId' | 'revision'> | undefined
  for (;;) {
    const asOf: { revision?: number } = first ? { revision: first.revision } : {}
    const page = await etcd.range({ key, rangeEnd, limit: PAGE_KEYS, ...asOf })
    first ??= { clusterId: page.clusterId, revision: page.revision }
    for (const { key: name, value, modRevision } of page.keys) {
      keys.set(name.slice(prefix.length), { value, modRevision })
    }
    const last = page.keys.at(-1)
    if (!page.more || last === undefined) return { ...first, keys }
    key = `${last.key}\0`
  }
}

/** As readWhole(), in one call where little happened since `known`. The same keys where nothing did. */
export async function readNews(
  etcd: EtcdClient,
  prefix: string,
  known: KeyImage,
): Promise<KeyImage> {
  const news = await etcd.range({
    key: prefix,
    rangeEnd: endOfPrefix(prefix),
    limit: PAGE_KEYS,
    minModRevision: known.revision + 1,
  })
  const { clusterId, revision } = news
  if (news.more || clusterId !== known.clusterId || revision < known.revision) {
    return await readWhole(etcd, prefix)
  }
  const keys = withNews(known.keys, prefix, news.keys)
  // Something was deleted: nobody says what.
  if (keys.size !== news.count) return await readWhole(etcd, prefix)
  return { clusterId, revision, keys }
}

function withNews(
  known: KeyImage['keys'],
  prefix: string,
  news: readonly KeyValue[],
): KeyImage['keys'] {
  const entries = news
    .map(
      ({ key, value, modRevision }) => [key.slice(prefix.length), { value, modRevision }] as const,
    )
    // A change of our own is known already.
    .filter(([name, { modRevision }]) => known.get(name)?.modRevision !== modRevision)
  return entries.length === 0 ? known : new Map([...known, ...entries])
}

/** Where nothing differs, the very same map: what is the same object is not looked at again. */
export function keepIdentity(found: KeyImage, known: KeyImage | undefined): KeyImage {
  if (known === undefined || found.keys === known.keys) return found
  let isSame = found.keys.size === known.keys.size
  const keys = new Map<string, ImageValue>()
  for (const [name, value] of found.keys) {
    const before = known.keys.get(name)
    const isKnown =
      before?.modRevision === value.modRevision && Buffer.compare(before.value, value.value) === 0
    keys.set(name, isKnown ? before : value)
    if (!isKnown) isSame = false
  }
  return { ...found, keys: isSame ? known.keys : keys }
}

/** As it is when these changes were made at a revision; nothing is said of others that were made before. */
export function withChanges(
  image: KeyImage,
  changes: readonly Change[],
  modRevision: number,
): KeyImage {
  const keys = new Map(image.keys)
  for (const change of changes) {
    if (change.kind === 'put') keys.set(change.key, { value: change.value, modRevision })
    else keys.delete(change.key)
  }
  return { ...image, keys }
}
