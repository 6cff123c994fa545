// Compares drives with their peers and says which are sick. Pure.
// A drive is never measured against a fixed time alone: where all are slow the machine is busy, and nobody is sick.
import type { DriveHealth, OperationKind, OperationUnderWay } from './drive-health.ts'

/** How a drive does. `suspect`: what it was asked last takes strangely long. `hanging`: so long that nobody waits for it. */
export type DriveCondition = 'healthy' | 'suspect' | 'slow' | 'erroring' | 'hanging'

/** A drive in service, as it is observed. */
export interface ObservedDrive {
  id: number
  health: Pick<DriveHealth, 'oldest' | 'errors' | 'latency' | 'lastDone'>
}

/** Limits; docs/decisions tells where they come from. */
export interface JudgeLimits {
  /** An operation under way for longer makes its drive suspect, and then hanging, unless that is usual here. */
  suspectMs: number
  hangingMs: number
  /** A p95 below this is never slow. */
  slowMs: number
  /** Errors of the medium within ten minutes that are too many. */
  maxErrors: number
}

/** What the embedded store goes by. */
export const USUAL_LIMITS: JudgeLimits = {
  suspectMs: 300,
  hangingMs: 700,
  slowMs: 500,
  maxErrors: 8,
}

// An operation is strange when it takes many times what it usually takes, here and elsewhere.
const STRANGE_FACTOR = 8
const STRANGE_FOR_ITSELF_FACTOR = 4
// Gray failure: a drive that works, and is far slower than the others for long.
const SLOW_FACTOR = 5
const SLOW_SAMPLES = 16
const WEIGHT: Record<OperationKind, number> = { read: 0, other: 1, write: 1, sync: 2 }
const JUDGED_BY_LATENCY = ['read', 'write', 'sync'] as const

/** How `drive` does now. A gray failure is one only once it lasts: the caller counts the time of `slow`. */
export function judgeDrive(
  drive: ObservedDrive,
  peers: readonly ObservedDrive[],
  nowMs: number,
  limits: JudgeLimits = USUAL_LIMITS,
): DriveCondition {
  if (hangs(drive, peers, nowMs, limits.hangingMs)) return 'hanging'
  if (drive.health.errors > limits.maxErrors) return 'erroring'
  if (hangs(drive, peers, nowMs, limits.suspectMs)) return 'suspect'
  return isSlow(drive, peers, limits) ? 'slow' : 'healthy'
}

function hangs(
  { health }: ObservedDrive,
  peers: readonly ObservedDrive[],
  nowMs: number,
  leastMs: number,
): boolean {
  const { oldest } = health
  if (oldest === undefined) return false
  const ageMs = nowMs - oldest.begunMs
  if (ageMs < leastMs) return false
  const usualMs = median(peers.map((peer) => peer.health.latency(oldest.kind).p95Ms))
  const ownMs = health.latency(oldest.kind).p95Ms
  if (ageMs < usualMs * STRANGE_FACTOR || ageMs < ownMs * STRANGE_FOR_ITSELF_FACTOR) return false
  const prompt = peers.filter((peer) => isPrompt(peer, oldest, nowMs))
  return prompt.length > 0 && prompt.length >= peers.length / 2
}

/** Whether a peer did as much meanwhile: something as heavy, begun since, is done, and nothing of it hangs. */
function isPrompt({ health }: ObservedDrive, than: OperationUnderWay, nowMs: number): boolean {
  const ageMs = nowMs - than.begunMs
  // Probes of all drives begin together, one just before the other.
  const sinceMs = than.begunMs - ageMs / 4
  if (health.oldest !== undefined && nowMs - health.oldest.begunMs > ageMs / 4) return false
  return (Object.keys(WEIGHT) as OperationKind[]).some((kind) => {
    const doneMs = health.lastDone(kind)
    return WEIGHT[kind] >= WEIGHT[than.kind] && doneMs !== undefined && doneMs >= sinceMs
  })
}

function isSlow(
  { health }: ObservedDrive,
  peers: readonly ObservedDrive[],
  { slowMs }: JudgeLimits,
): boolean {
  return JUDGED_BY_LATENCY.some((kind) => {
    const { count, p95Ms } = health.latency(kind)
    if (count < SLOW_SAMPLES || p95Ms < slowMs) return false
    const others = peers
      .map((peer) => peer.health.latency(kind))
      .filter((latency) => latency.count >= SLOW_SAMPLES)
    if (others.length === 0 || others.length < peers.length / 2) return false
    return p95Ms > SLOW_FACTOR * median(others.map((latency) => latency.p95Ms))
  })
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
