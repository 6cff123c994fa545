// Blobs that can not be mended, in lines for people.
import type { HealingStatus, UnrepairableStatus } from '../gateway/admin-api.ts'

/** Names listed for people; --json has more. */
const LOST_MAX = 10

/** What can not be mended, by name where it has one. */
export function showLost({
  unrepairable,
  unrepairableCount,
}: Pick<HealingStatus, 'unrepairable' | 'unrepairableCount'>): string[] {
  if (unrepairableCount === 0) return []
  const shown = unrepairable.slice(0, LOST_MAX)
  const left = unrepairableCount - shown.length
  return [
    'Unrepairable:',
    ...shown.map((blob) => `  ${nameBlob(blob)}: ${explain(blob)}`),
    ...(left > 0 ? [`  and ${left} more`] : []),
  ]
}

function nameBlob({ bucket, key, uid, part }: UnrepairableStatus): string {
  const blob = part === 0 ? `blob ${uid}` : `blob ${uid}, part ${part}`
  return bucket === undefined || key === undefined ? blob : `s3://${bucket}/${key} (${blob})`
}

function explain({ good, needed, error }: UnrepairableStatus): string {
  if (error !== undefined) return error
  return `${good ?? 'too few'} of ${needed ?? 'the'} shards that are needed are left`
}
