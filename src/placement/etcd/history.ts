// Whether one decision leads up to another: what tells a coordinator that went on from one that was restored from a
// backup. The last decisions are named in the head, those before in pages of their own. Layout: docs/formats/etcd-keys.md.
import type { EtcdClient } from './etcd-client.ts'
import type { Change } from './etcd-wire.ts'
import type { KeyImage } from './key-image.ts'
import { type Agreed, ANCESTORS, fromJson, type Head, readAgreed, toJson } from './state-keys.ts'

/** So many pages are kept: of 65,536 decisions. Who was away for more has to be told anew. */
const PAGES = 1024

/** The keys of history, behind the prefix of the cluster. */
const HISTORY = 'history/'

/** With every 64th decision: the 64 before it, in a page that is never changed. Keys with the prefix of the cluster. */
export function historyChanges(prefix: string, { epoch, ancestors }: Head): Change[] {
  if (epoch % ANCESTORS !== 0) return []
  const page = epoch / ANCESTORS
  return [
    { kind: 'put', key: `${prefix}${HISTORY}${page}`, value: toJson(ancestors) },
    { kind: 'delete', key: `${prefix}${HISTORY}${page - PAGES}` },
  ]
}

/** Whether `head` is that decision or one that followed from it. */
export async function leadsTo(
  earlier: Pick<Head, 'epoch' | 'id'>,
  head: Head,
  { etcd, prefix }: { etcd: EtcdClient; prefix: string },
): Promise<boolean> {
  if (earlier.epoch >= head.epoch) return earlier.epoch === head.epoch && earlier.id === head.id
  const isThat = ([epoch, id]: Head['ancestors'][number]): boolean =>
    epoch === earlier.epoch && id === earlier.id
  if (head.ancestors.some(isThat)) return true
  if (earlier.epoch >= (head.ancestors[0]?.[0] ?? head.epoch)) return false
  const key = `${prefix}${HISTORY}${Math.floor(earlier.epoch / ANCESTORS) + 1}`
  const { keys } = await etcd.range({ key })
  const page = keys[0] ? (fromJson(keys[0].value) as Head['ancestors']) : []
  return page.some(isThat)
}

/** Why `found` may not be believed by someone who knew `known`; undefined where it went on from there. */
export async function findRestored(
  known: KeyImage,
  found: KeyImage,
  parts: { etcd: EtcdClient; prefix: string },
): Promise<string | undefined> {
  const before = readAgreed(known)
  if (before === undefined) return undefined
  const now = readAgreed(found)
  if (now === undefined) return 'there is no cluster in it'
  const { clusterId } = now.state
  if (clusterId !== before.state.clusterId)
    return `it has cluster ${clusterId}, not ${before.state.clusterId}`
  if (now.head.generation !== before.head.generation) {
    return now.head.generation > before.head.generation ? undefined : 'it is of before a restore'
  }
  if (found.clusterId !== known.clusterId) return 'it is another etcd'
  if (found.revision < known.revision)
    return `its revision is ${found.revision}, and was ${known.revision}`
  const key = findContradiction(known, found)
  if (key !== undefined) return `${key} has more than one history`
  return await findFork(before, now, parts)
}

/**
 * Revisions of a key only grow, and everything up to the known revision was known. Decisions are told apart by the head; this
 * is for the other keys, which two timelines may have changed at one revision.
 */
function findContradiction(known: KeyImage, found: KeyImage): string | undefined {
  for (const [key, { value, modRevision }] of found.keys) {
    const before = known.keys.get(key)
    const isNew = modRevision > (before?.modRevision ?? known.revision)
    const isSame = before?.modRevision === modRevision && Buffer.compare(before.value, value) === 0
    if (!isNew && !isSame) return key
  }
  return undefined
}

/** What a process knows of etcd, as it tells others: one of them may know less, and must not believe an older one then. */
export interface EtcdKnowledge {
  /** Of etcd, not ours. */
  clusterId: string
  revision: number
  generation: number
  /** Of the last decision, and its id. */
  epoch: number
  head: string
}

/** Undefined where there is no cluster in it. */
export function knowledgeOf(image: KeyImage): EtcdKnowledge | undefined {
  const head = readAgreed(image)?.head
  if (head === undefined) return undefined
  const { clusterId, revision } = image
  return { clusterId, revision, generation: head.generation, epoch: head.epoch, head: head.id }
}

/**
 * What another process knows and `image` does not follow from, in words; undefined where it may. Of an image that was read after that was
 * heard it says that etcd was restored from a backup.
 */
export function findAhead(heard: EtcdKnowledge, image: KeyImage): string | undefined {
  const head = readAgreed(image)?.head
  if (head === undefined) return 'there is no cluster in it'
  if (heard.generation !== head.generation)
    return heard.generation > head.generation ? 'it is of before a restore' : undefined
  if (heard.clusterId !== image.clusterId) return 'it is another etcd'
  if (heard.revision > image.revision)
    return `its revision is ${image.revision}, and was ${heard.revision}`
  const known = [...head.ancestors, [head.epoch, head.id] as const]
  const isOther = ([epoch, id]: readonly [number, string]): boolean =>
    epoch === heard.epoch && id !== heard.head
  if (heard.epoch <= head.epoch && !known.some(isOther)) return undefined
  return `its epoch ${head.epoch} does not follow from epoch ${heard.epoch}`
}

async function findFork(
  before: Agreed,
  now: Agreed,
  parts: { etcd: EtcdClient; prefix: string },
): Promise<string | undefined> {
  if (await leadsTo(before.head, now.head, parts)) return undefined
  return `its epoch ${now.head.epoch} does not follow from epoch ${before.head.epoch}, which was decided here`
}
