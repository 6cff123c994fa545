// From what is known to what may be said: the health of the store in one word, with reasons. Pure.
import type {
  DriveStatus,
  HealingStatus,
  MetadataStatus,
  SpaceStatus,
  StoreHealth,
} from '../gateway/admin-api.ts'
import { counted } from '../kit/counted.ts'

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
  return [{ health: 'damaged', reason: `${counted(unrepairableCount, 'blob')} can not be mended.` }]
}

function degraded({ drives, metadata, healing }: HealthFacts): Finding[] {
  const reasons: string[] = []
  const served = drives.filter(({ state }) => state === 'active' || state === 'draining')
  const vacated = drives.filter(({ state, isVacated }) => isVacated && state === 'out')
  const absent = drives.length - served.length - vacated.length
  if (absent > 0)
    reasons.push(
      `${absent} of ${counted(drives.length, 'drive')} ${absent === 1 ? 'is' : 'are'} not in service.`,
    )
  for (const { id, state, condition } of drives) {
    if (condition !== undefined && state !== 'out') reasons.push(`Drive ${id} is ${condition}.`)
  }
  const { partitions, inSync, replicas } = metadata
  if (inSync < partitions) {
    const lacking = counted(partitions - inSync, 'partition')
    reasons.push(`${lacking} of metadata have fewer than ${counted(replicas, 'replica')}.`)
  }
  reasons.push(...sayFull(drives, drives.length))
  const { waiting } = healing
  if (waiting > 0) {
    const tight = drives.filter(({ space }) => space && takesNoShards(space)).length
    const why = tight > 0 ? `: ${counted(tight, 'drive')} are too full for them` : ''
    reasons.push(
      `${counted(waiting, 'blob')} ${waiting === 1 ? 'waits' : 'wait'} for a drive to put shards on${why}.`,
    )
  }
  return reasons.map((reason) => ({ health: 'degraded', reason }))
}

/**
 * Of `count` drives, those that are full. Only what changes what the store does: a drive that is merely nearly full is still
 * all there.
 */
export function sayFull(
  drives: readonly { id: number; space?: Pick<SpaceStatus, 'level'> }[],
  count: number,
): string[] {
  const full = drives.filter(({ space }) => space && takesNoData(space))
  if (full.length === 0) return []
  const ids = full.map(({ id }) => id).join(', ')
  return [`${full.length} of ${counted(count, 'drive')} are full and take no new data: ${ids}.`]
}

function takesNoData({ level }: Pick<SpaceStatus, 'level'>): boolean {
  return level === 'read-only' || level === 'failsafe'
}

function takesNoShards(space: SpaceStatus): boolean {
  return space.level === 'no-moves' || takesNoData(space)
}

function mending({ drives, healing: { queued } }: HealthFacts): Finding[] {
  const draining = drives.filter(({ state, isVacated }) => state === 'draining' && !isVacated)
  const reasons = draining.map(({ id }) => `Drive ${id} is being emptied.`)
  if (queued > 0)
    reasons.unshift(`${counted(queued, 'blob')} ${queued === 1 ? 'is' : 'are'} to be mended.`)
  return reasons.map((reason) => ({ health: 'mending', reason }))
}

function unverified({ healing }: HealthFacts): Finding[] {
  if (healing.verified) return []
  const reason = healing.passes.some(({ kind }) => kind === 'scrub')
    ? 'Not every byte was verified since the last event; a pass is under way.'
    : 'Not every byte was verified since the last event: kintsugi heal begins a pass.'
  return [{ health: 'not-verified', reason }]
}
