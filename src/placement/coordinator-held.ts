// How much of the past a decision names: enough that drives which come back are known by what they held.
import type { ClusterState } from './coordinator.ts'

const KEPT_ANCESTORS = 64
// Decisions around the last one that a drive held for sure, so that its history is known when it comes back.
const KEPT_AROUND_HELD = 16
// Drives that left while they were out, whose directories may come to light at a later start.
const KEPT_WHO_LEFT = 32

/** What drives held for sure that were out when they left the map: the last of them. */
export function heldByThoseWhoLeft(
  held: Readonly<Record<string, number>>,
  { map }: Pick<ClusterState, 'map'>,
): Record<string, number> {
  const left = Object.entries(held).filter(([id]) => !map.drives.some((drive) => drive.id === +id))
  return Object.fromEntries(left.sort(([, one], [, other]) => other - one).slice(0, KEPT_WHO_LEFT))
}

/** Whether a decision names the ancestor of the epoch `known`. `held`: what drives that are not here held for sure. */
export function isWorthKeeping(known: number, epoch: number, held: readonly number[]): boolean {
  if (known >= epoch - KEPT_ANCESTORS) return true
  return held.some((last) => known >= last - KEPT_AROUND_HELD && known <= last + 1)
}
