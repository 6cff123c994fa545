// Object Lock: what may not be removed, and which changes of a retention are none that weaken it (pitfall 118).
import { type AnyVersion, isDeleteMarker, type Retention } from '../records.ts'

/** Who asks, and when. `bypass`: may pass over GOVERNANCE. */
export interface LockQuestion {
  nowMs: number
  bypass: boolean
}

/** Whether a version may not be removed. */
export function isLocked(version: AnyVersion, { nowMs, bypass }: LockQuestion): boolean {
  if (isDeleteMarker(version)) return false
  const { legalHold, retention } = version
  if (legalHold) return true
  if (!isActive(retention, nowMs)) return false
  return retention.mode === 'COMPLIANCE' || !bypass
}

/** Whether `next` may stand where `known` stands. A retention that is over binds nobody. */
export function mayRetain(
  known: Retention | undefined,
  next: Retention | undefined,
  { nowMs, bypass }: LockQuestion,
): boolean {
  if (!isActive(known, nowMs)) return true
  // Another mode is another lock, even a stricter one.
  const isLonger = next?.mode === known.mode && next.untilMs >= known.untilMs
  return isLonger || (bypass && known.mode === 'GOVERNANCE')
}

function isActive(retention: Retention | undefined, nowMs: number): retention is Retention {
  return retention !== undefined && retention.untilMs > nowMs
}
