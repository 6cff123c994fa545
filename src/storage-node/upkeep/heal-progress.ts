// How it stands with mending, for people: in the admin API and as metrics.
import { Counter, computedCounter, computedGauge, Gauge, type Registry } from '../../kit/metrics.ts'
import type { PassForecast, PassKind } from './blob-walk.ts'
import type { MoveProgress } from './mover.ts'
import type { UnrepairableBlob } from './unrepairable.ts'

/** A pass that is under way. */
export interface PassProgress extends PassForecast {
  kind: PassKind
  startedMs: number
  blobs: number
  bytes: number
  mendedShards: number
}

/** What was done since the start, and what is known now. */
export interface HealProgress {
  /** Blobs that readers found damaged, or that rows say to lack shards, and that are not mended yet. */
  queued: number
  passes: readonly PassProgress[]
  /** Passes that came to their end. */
  ended: Readonly<Record<PassKind, number>>
  checkedBlobs: number
  mendedShards: number
  bytesRead: number
  bytesWritten: number
  /** Files that are no shards, and were read; and those of them that were damaged. */
  checkedFiles: number
  damagedFiles: number
  /** Blobs that owed shards for which there is no drive, as the last pass found. */
  waiting: number
  unrepairable: readonly UnrepairableBlob[]
  unrepairableCount: number
  /**
   * Every blob had all its shards when it was last looked at, the last scrub left all other files as they should be, and
   * nothing happened since. Never a guess: false when not known.
   */
  complete: boolean
  /** When the last scrub began that left nothing owed, each byte of each file having been read; undefined: none did since the start. */
  lastVerifiedMs: number | undefined
  /** Shards that are not where the table of slots wants them. */
  moves: MoveProgress
}

/** Puts the metrics of mending on the registry; they are computed when they are asked for. */
export function listHealMetrics(progress: () => HealProgress, registry: Registry): void {
  type Value = (now: HealProgress) => number
  const gauge = (name: string, help: string, value: Value): void =>
    computedGauge({ name, help, value: () => value(progress()) }, registry)
  const counter = (name: string, help: string, value: Value): void =>
    computedCounter({ name, help, value: () => value(progress()) }, registry)
  gauge(
    'kintsugi_heal_queued_blobs',
    'Blobs known to be damaged that are not mended yet',
    ({ queued }) => queued,
  )
  gauge(
    'kintsugi_heal_waiting_blobs',
    'Blobs that owe shards for which there is no drive, as the last pass found',
    ({ waiting }) => waiting,
  )
  gauge(
    'kintsugi_heal_unrepairable_blobs',
    'Blobs of which too few shards are left',
    ({ unrepairableCount }) => unrepairableCount,
  )
  gauge(
    'kintsugi_heal_complete',
    '1 when a whole pass found every shard and nothing happened since; 0 when that is not known',
    ({ complete }) => (complete ? 1 : 0),
  )
  gauge(
    'kintsugi_scrub_last_verified_seconds',
    'When the last scrub began that left nothing owed, in seconds since 1970; 0: none since the start',
    ({ lastVerifiedMs }) => (lastVerifiedMs ?? 0) / 1000,
  )
  counter(
    'kintsugi_heal_checked_blobs_total',
    'Blobs that were looked at',
    ({ checkedBlobs }) => checkedBlobs,
  )
  counter(
    'kintsugi_heal_mended_shards_total',
    'Shards that were made again',
    ({ mendedShards }) => mendedShards,
  )
  counter(
    'kintsugi_heal_read_bytes_total',
    'Bytes of shards read to check and to mend',
    ({ bytesRead }) => bytesRead,
  )
  counter(
    'kintsugi_heal_written_bytes_total',
    'Bytes of shards written to mend',
    ({ bytesWritten }) => bytesWritten,
  )
  counter(
    'kintsugi_scrub_checked_files_total',
    'Files that are no shards and were read and verified',
    ({ checkedFiles }) => checkedFiles,
  )
  counter(
    'kintsugi_scrub_damaged_files_total',
    'Those of them that were damaged',
    ({ damagedFiles }) => damagedFiles,
  )
  gauge(
    'kintsugi_moves_remaining_shards',
    'Shards that are not on the drive that the table of slots names, by the last count',
    ({ moves }) => moves.remainingShards ?? 0,
  )
  gauge(
    'kintsugi_moves_remaining_bytes',
    'About how long those shards are together',
    ({ moves }) => moves.remainingBytes ?? 0,
  )
  gauge(
    'kintsugi_moves_remaining_reencodes',
    'Blobs to be written again because too few drives stay for their code, by the last count',
    ({ moves }) => moves.remainingAnew ?? 0,
  )
  gauge(
    'kintsugi_moves_left_behind_shards',
    'Shards that moved and still lie where they were as well',
    ({ moves }) => moves.leftBehind,
  )
  counter(
    'kintsugi_moves_reencoded_blobs_total',
    'Blobs written again with another code; their shards count as moved',
    ({ moves }) => moves.anewBlobs,
  )
  counter('kintsugi_moves_shards_total', 'Shards that were moved', ({ moves }) => moves.movedShards)
  counter(
    'kintsugi_moves_bytes_total',
    'Bytes of shards that were moved',
    ({ moves }) => moves.movedBytes,
  )
  listPasses(progress, registry)
}

function listPasses(progress: () => HealProgress, registry: Registry): void {
  new Counter({
    name: 'kintsugi_heal_passes_total',
    help: 'Passes over all blobs that came to their end',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      this.reset()
      for (const kind of ['check', 'scrub'] as const) this.inc({ kind }, progress().ended[kind])
    },
  })
  new Gauge({
    name: 'kintsugi_heal_pass_blobs',
    help: 'Blobs that the pass under way has seen; 0 without one',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      const { passes } = progress()
      for (const kind of ['check', 'scrub'] as const)
        this.set({ kind }, passes.find((pass) => pass.kind === kind)?.blobs ?? 0)
    },
  })
}
