// kintsugi status: how a running store stands, for people or as JSON.
import type { HealingStatus, SpaceStatus, StoreStatus } from '../gateway/admin-api.ts'
import { showBytes } from '../kit/bytes.ts'
import { realWorld } from '../kit/world.ts'
import { type AdminOptions, openAdminClient } from './admin-client.ts'
import { alignColumns, showTime } from './amounts.ts'
import { showCluster } from './show-cluster.ts'
import { showMoving, showWalked } from './show-drives.ts'
import { showLost } from './show-lost.ts'

/** Prints the status of the store, or of the cluster. Throws Exit. */
export async function status(options: AdminOptions): Promise<void> {
  const client = await openAdminClient(options, realWorld())
  const found = await client.status()
  const lines = (): string[] => ('kind' in found ? showCluster(found) : showStatus(found))
  const text = options.json ? JSON.stringify(found, undefined, 2) : lines().join('\n')
  process.stdout.write(`${text}\n`)
}

const HEALTH_WORDS = {
  healthy:
    'healthy: the last pass verified every byte that was there, and nothing has been owed since',
  'not-verified': 'not verified yet',
  mending: 'mending',
  degraded: 'degraded',
  damaged: 'damaged',
} as const satisfies Record<StoreStatus['health'], string>

/** The status in lines. */
export function showStatus(found: StoreStatus): string[] {
  const { health, reasons, code, reducedCode, drives, metadata, healing } = found
  const active = drives.filter(({ state }) => state === 'active').length
  return [
    `Health    ${HEALTH_WORDS[health]}`,
    ...reasons.map((reason) => `          ${reason}`),
    `Code      ${code}, reduced ${reducedCode}`,
    `Drives    ${active} of ${drives.length} active`,
    ...alignColumns(
      drives.map(({ id, path = '(not given)', state, condition, isVacated, reason, space }) => [
        ...['         ', String(id)],
        ...[[state, condition, isVacated && 'vacated'].filter(Boolean).join(', '), path],
        reason || showSpace(space),
      ]),
    ),
    `Metadata  ${metadata.inSync} of ${metadata.partitions} partitions in sync, each on ${metadata.replicas} drives`,
    ...showHealing(healing),
    showUploads(found),
    ...showOrphans(found),
    ...showProcesses(found),
    ...showRestarts(found),
  ]
}

function showProcesses({ processes }: StoreStatus): string[] {
  if (processes === undefined) return []
  const [store, ...workers] = processes.pids
  const again = processes.restarts === 0 ? '' : `, ${processes.restarts} started again`
  return [`Processes ${store} has the store, ${workers.join(', ')} serve S3${again}`]
}

function showRestarts({ restarts }: StoreStatus): string[] {
  if (restarts?.last === undefined) return []
  const { count, last } = restarts
  const times = count === 1 ? 'once' : `${count} times`
  return [
    `Restarts  the server was started again ${times}, the last time after ${last.signal} at ${showTime(last.ms)}`,
  ]
}

function showUploads({ uploads: { count, bytes, oldestMs } }: StoreStatus): string {
  const oldest = oldestMs === undefined ? '' : `, the oldest of ${showTime(oldestMs)}`
  const held = count === 0 ? '' : ` with ${showBytes(bytes)}`
  return `Uploads   ${count} under way${held}${oldest}`
}

function showOrphans({ orphans }: StoreStatus): string[] {
  const { lastPassMs, deleted, deletedBytes, adopted, left, heldSinceMs } = orphans
  const when =
    lastPassMs === undefined ? 'not looked for yet' : `last looked for ${showTime(lastPassMs)}`
  const leftCount = left.unreadable + left.useless + left.undecided + left.held
  const done = `${deleted} deleted (${showBytes(deletedBytes)}), ${adopted} in use again, ${leftCount} left`
  const line = `Orphans   ${when}; since the start ${done}`
  if (heldSinceMs === undefined) return [line]
  const since = `kept since the recovery of ${showTime(heldSinceMs)}, with all uploads under way`
  return [line, `          ${since}: kintsugi release-orphans lets them go`]
}

const LEVEL_WORDS = {
  ample: '',
  'near-full': 'nearly full',
  'no-moves': 'nearly full, takes no shards of other drives',
  'read-only': 'full, takes no new data',
  failsafe: 'full, only deletes',
} as const satisfies Record<SpaceStatus['level'], string>

/** As `81 % full, 12.3 GiB free`; inodes only where they are what is short. */
function showSpace(space: SpaceStatus | undefined): string {
  if (space === undefined) return ''
  const { level, freeBytes, totalBytes, freeInodes, totalInodes } = space
  const used = 1 - freeBytes / totalBytes
  const usedInodes = totalInodes === 0 ? 0 : 1 - freeInodes / totalInodes
  const inodes = usedInodes > Math.max(used, 0.8) ? `${freeInodes} inodes free` : ''
  const bytes = `${Math.floor(used * 100)} % full, ${showBytes(freeBytes)} free`
  return [bytes, inodes, LEVEL_WORDS[level]].filter((part) => part !== '').join(', ')
}

function showHealing(healing: HealingStatus): string[] {
  const { queued, waiting, unrepairableCount, lastVerifiedMs, lastEventMs } = healing
  const verified = lastVerifiedMs === undefined ? 'never since the start' : showTime(lastVerifiedMs)
  return [
    `Healing   ${queued} queued, ${waiting} waiting for a drive, ${unrepairableCount} unrepairable`,
    `          ${showWork(healing)}`,
    `          ${healing.checkedFiles} other files checked, ${healing.damagedFiles} were damaged`,
    ...showPasses(healing).map((line) => `          ${line}`),
    ...(healing.moves === undefined ? [] : showMoving(healing.moves)),
    `Verified  ${verified}; last event ${showTime(lastEventMs)}`,
    ...showLost(healing),
  ]
}

function showWork({ checkedBlobs, mendedShards, bytesRead, bytesWritten }: HealingStatus): string {
  const moved = `${showBytes(bytesRead)} read, ${showBytes(bytesWritten)} written`
  return `since the start: ${checkedBlobs} blobs checked, ${mendedShards} shards mended, ${moved}`
}

function showPasses({ passes }: HealingStatus): string[] {
  return passes.map((pass) => {
    const { kind, startedMs, blobs, blobsExpected } = pass
    const share = blobsExpected ? `${Math.floor((100 * blobs) / blobsExpected)} %, ` : ''
    return `${kind} since ${showTime(startedMs)}: ${share}${showWalked(pass)}`
  })
}
