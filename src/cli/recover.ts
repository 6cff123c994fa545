// kintsugi recover: makes metadata again of which no replica is left, and says what it could not know.
import { type RecoverOutcome, recover } from '../embedded/recover.ts'
import { openLog } from '../kit/log.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { showTime } from './amounts.ts'

/** Options of the command. */
export interface RecoverOptions {
  yes?: boolean
  dryRun?: boolean
  json?: boolean
  withoutMissing?: boolean
}

/** Recovers what is lost, or says what would be done. Throws Exit. */
export async function recoverCommand(
  directories: readonly string[],
  { yes, dryRun, json, withoutMissing = false }: RecoverOptions,
): Promise<void> {
  const mode = dryRun ? 'rehearse' : yes ? 'recover' : 'plan'
  const parts = { world: realWorld(), log: openLog('warn') }
  const outcome = await stayAlive(recover({ directories, mode, withoutMissing }, parts))
  const text = json ? JSON.stringify(outcome, undefined, 2) : showRecovery(outcome).join('\n')
  process.stdout.write(`${text}\n`)
}

/** Names listed for people; --json has all of them. */
const NAMES_MAX = 10

/** What was done, in lines. */
function showRecovery(outcome: RecoverOutcome): string[] {
  const { mode, coordinator, partitions, buckets } = outcome
  if (partitions.length === 0 && !coordinator)
    return ['Every partition of metadata has a replica: nothing is to be recovered.']
  const lines = [
    ...(coordinator ? showCoordinator(coordinator) : []),
    ...partitions.flatMap((partition) => showPartition(partition, buckets)),
  ]
  const end = {
    plan: 'Nothing was changed. --dry-run says what would come out, --yes does it.',
    rehearse: 'Nothing was changed: this is what --yes would do.',
    recover: 'Done. Start the store, then run kintsugi heal --wait.',
  }
  return [...lines, end[mode], ...(mode === 'plan' ? [] : CAVEATS)]
}

/** What is to be said of everything that was made again. */
export const CAVEATS = [
  'What can not be known: what was deleted since the dump may be there again, a write that was refused may look like one that was',
  'done, and empty objects, tags, locks and delete markers are those of the dump. Objects made from shards alone are marked',
  'unconfirmed (kintsugi inspect). No shard was deleted, and none that no object names will be until kintsugi release-orphans.',
]

function showCoordinator(made: NonNullable<RecoverOutcome['coordinator']>): string[] {
  const { sourceEpoch, sourceMs, lostPartitions, namelessBuckets, addedDrives, missingDrives } =
    made
  const begun = {
    copy: `a copy of decision ${sourceEpoch}`,
    dump: `decision ${sourceEpoch} in a dump of ${showTime(sourceMs ?? 0)}`,
    shards: 'what drives and shards say of themselves: there is no copy of it',
  }
  const some = (sentence: string, list: readonly unknown[]): string[] =>
    list.length > 0 ? [`  ${sentence}: ${list.join(', ')}`] : []
  return [
    `No decision of the coordinator is left on any drive. A new one is made from ${begun[made.source]}.`,
    `  code ${made.code}${made.isCodeAssumed ? ' (assumed)' : ''}, drives ${made.drives.join(', ')}, ${made.buckets.length} buckets`,
    ...some('drives that are missing, and out from now on', missingDrives),
    ...some('drives that it did not name, added now', addedDrives),
    ...some('buckets whose names and settings are not known, so named for now', namelessBuckets),
    ...some('metadata partitions without a replica', lostPartitions),
    ...(made.lacksKeys
      ? ['  keys of its own to encrypt with: none; what was encrypted with any can not be read']
      : []),
    '  What can not be known: settings of buckets, drives and root key that were changed since; buckets that were made or',
    '  deleted since and of which no shard tells. A bucket that was deleted since may be there again.',
  ]
}

function showPartition(
  { partition, dumpMs, replayed = 0, report }: RecoverOutcome['partitions'][number],
  buckets: RecoverOutcome['buckets'],
): string[] {
  const dump = dumpMs === undefined ? 'no dump' : `a dump of ${showTime(dumpMs)}`
  const behind = replayed > 0 ? `, and ${replayed} entries of logs behind it` : ''
  const head = `Partition ${partition}: all replicas are lost; there is ${dump}${behind}.`
  return report ? [head, ...showReport(report, buckets)] : [head]
}

type Report = NonNullable<RecoverOutcome['partitions'][number]['report']>

/** What became of a partition that was made again. */
export function showReport(
  report: Report,
  buckets: RecoverOutcome['buckets'],
  source = 'the dump',
): string[] {
  const { dumpedRows, unconfirmed, strangers } = report
  const list = (what: string, noted: typeof report.gone): string[] => {
    if (noted.length === 0) return []
    const names = noted.slice(0, NAMES_MAX).map(({ bucketId, key, uid }) => {
      const bucket = bucketId === undefined ? undefined : buckets[bucketId]
      return `    ${bucket === undefined ? `blob ${uid}` : `s3://${bucket}/${key}`}`
    })
    return [`  ${noted.length} ${what}:`, ...names]
  }
  return [
    `  ${dumpedRows} rows from ${source}, ${unconfirmed} versions from shards alone`,
    ...list(`named by ${source}, but no shard is left (deleted since, or lost)`, report.gone),
    ...list('have too few shards to be read', report.damaged),
    ...list(
      'uploads, of which no row says that they were completed, were taken for completed with all parts that are there',
      report.uploads.filter(({ assumed }) => assumed === 'completed'),
    ),
    ...list(
      'uploads are under way again, though they may have been completed',
      report.uploads.filter(({ assumed }) => assumed === 'under-way'),
    ),
    ...list('blobs that no row could be made for (appends, annotations)', report.unplaced),
    ...(strangers > 0 ? [`  ${strangers} blobs of buckets that are no more`] : []),
  ]
}
