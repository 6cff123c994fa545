// From what is known to what may be said: the health of the store in one word, with reasons. Pure.
import type {
  DriveStatus,
  HealingStatus,
  MetadataStatus,
  StoreHealth,
} from '../gateway/admin-api.ts'

/** All that health follows from. */
export interface HealthFacts {
  drives: readonly DriveStatus[]
  metadata: MetadataStatus
  healing: HealingStatus
}

/** The worst that is true. Nothing is healthy because nothing is known to be wrong. */
export function judgeHealth(facts: HealthFacts): { health: StoreHealth; reasons: string[] } {
  const found = [...damaged(facts), ...degraded(facts), ...mending(facts), ...unverified(facts)]
  return { health: found[0]?.health ?? 'healthy', reasons: found.map(({ reason }) => reason) }
}

interface Finding {
  health: Exclude<StoreHealth, 'healthy'>
  reason: string
}

function damaged({ healing: { unrepairableCount } }: HealthFacts): Finding[] {
  if (unrepairableCount === 0) return []
  return [{ health: 'damaged', reason: `${count(unrepairableCount, 'blob')} can not be mended.` }]
}

function degraded({ drives, metadata, healing }: HealthFacts): Finding[] {
  const reasons: string[] = []
  const served = drives.filter(({ state }) => state === 'active' || state === 'draining')
  const vacated = drives.filter(({ state, isVacated }) => isVacated && state === 'out')
  const absent = drives.length - served.length - vacated.length
  if (absent > 0) reasons.push(`${absent} of ${count(drives.length, 'drive')} are not in service.`)
  for (const { id, state, condition } of drives) {
    if (condition !== undefined && state !== 'out') reasons.push(`Drive ${id} is ${condition}.`)
  }
  const { partitions, inSync, replicas } = metadata
  if (inSync < partitions) {
    const lacking = count(partitions - inSync, 'partition')
    reasons.push(`${lacking} of metadata have fewer than ${count(replicas, 'replica')}.`)
  }
  const { waiting } = healing
  if (waiting > 0) reasons.push(`${count(waiting, 'blob')} wait for a drive to put shards on.`)
  return reasons.map((reason) => ({ health: 'degraded', reason }))
}

function mending({ drives, healing: { queued } }: HealthFacts): Finding[] {
  const draining = drives.filter(({ state, isVacated }) => state === 'draining' && !isVacated)
  const reasons = draining.map(({ id }) => `Drive ${id} is being emptied.`)
  if (queued > 0) reasons.unshift(`${count(queued, 'blob')} are to be mended.`)
  return reasons.map((reason) => ({ health: 'mending', reason }))
}

function unverified({ healing }: HealthFacts): Finding[] {
  if (healing.verified) return []
  const reason = healing.passes.some(({ kind }) => kind === 'scrub')
    ? 'Not every byte was verified since the last event; a pass is under way.'
    : 'Not every byte was verified since the last event: kintsugi heal begins a pass.'
  return [{ health: 'not-verified', reason }]
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
