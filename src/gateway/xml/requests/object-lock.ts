// The bodies of PutObjectLockConfiguration, PutObjectRetention and PutObjectLegalHold (pitfall 118).
import type { BucketLock, Retention } from '../../../objects/object-store.ts'
import { parseIsoTime } from '../../headers/dates.ts'
import { S3Error } from '../../s3-error.ts'
import { childrenOf, malformed, readXml, refuseOthers, textOf, type XmlElement } from '../read.ts'

const DAYS_MAX = 36_500
const YEARS_MAX = 100

/** AWS has them, this store not yet. */
const EVENT_HOLDS: readonly string[] = ['EventHold', 'EventHoldDuration', 'DefaultEventHold']

type DefaultRetention = NonNullable<BucketLock['defaultRetention']>

/** The lock of a bucket. Without a rule new versions get no retention. `strict`: a bad period is called as AWS calls it. */
export function readLockConfiguration(text: string, strict: boolean): BucketLock {
  const root = readXml(text, 'ObjectLockConfiguration')
  refuseAllBut(root, ['ObjectLockEnabled', 'Rule'])
  if (trimmed(root, 'ObjectLockEnabled') !== 'Enabled') throw malformed()
  const rule = onlyChild(root, 'Rule')
  if (!rule) return {}
  refuseAllBut(rule, ['DefaultRetention'])
  const given = onlyChild(rule, 'DefaultRetention')
  if (!given) throw malformed()
  refuseAllBut(given, ['Mode', 'Days', 'Years'])
  return { defaultRetention: { mode: readMode(given), ...readPeriod(given, strict) } }
}

/** The retention of a version, its date as it was sent; undefined when the document is empty: there is to be none. */
export function readRetention(text: string): (Retention & { until: string }) | undefined {
  const root = readXml(text, 'Retention')
  refuseAllBut(root, ['Mode', 'RetainUntilDate'])
  const until = trimmed(root, 'RetainUntilDate')
  if (until === undefined && trimmed(root, 'Mode') === undefined) return undefined
  const untilMs = parseIsoTime(until ?? '')
  if (until === undefined || untilMs === undefined) throw malformed()
  return { mode: readMode(root), untilMs, until }
}

/** Whether the version is to be held. */
export function readLegalHold(text: string): boolean {
  const root = readXml(text, 'LegalHold')
  refuseAllBut(root, ['Status'])
  const status = trimmed(root, 'Status')
  if (status === 'ON' || status === 'OFF') return status === 'ON'
  throw malformed()
}

function readMode(parent: XmlElement): Retention['mode'] {
  const mode = trimmed(parent, 'Mode')
  if (mode === 'GOVERNANCE' || mode === 'COMPLIANCE') return mode
  throw malformed()
}

function readPeriod(given: XmlElement, strict: boolean): Pick<DefaultRetention, 'days' | 'years'> {
  const days = trimmed(given, 'Days')
  const years = trimmed(given, 'Years')
  if ((days === undefined) === (years === undefined)) throw malformed()
  return days === undefined
    ? { years: readCount('Years', years ?? '', YEARS_MAX, strict) }
    : { days: readCount('Days', days, DAYS_MAX, strict) }
}

function readCount(name: 'Days' | 'Years', text: string, max: number, strict: boolean): number {
  if (!/^[+-]?\d{1,9}$/.test(text)) throw malformed()
  const count = Number(text)
  if (count >= 1 && count <= max) return count
  const what = count < 1 ? 'must be a positive integer value.' : `must not be over ${max}.`
  throw new S3Error(
    strict ? 'InvalidArgument' : 'InvalidRetentionPeriod',
    { ArgumentName: name, ArgumentValue: text },
    { message: `Default retention period ${what}` },
  )
}

/** What is left unread of a lock would not hold: a retention of an event hold alone would read as one to be lifted. */
function refuseAllBut(parent: XmlElement, known: readonly string[]): void {
  const hold = parent.children.find(({ name }) => EVENT_HOLDS.includes(name))
  if (hold !== undefined) {
    const message = 'Event holds are not implemented.'
    throw new S3Error('NotImplemented', { AdditionalMessage: hold.name }, { message })
  }
  refuseOthers(parent, known)
}

function trimmed(parent: XmlElement, name: string): string | undefined {
  return textOf(parent, name)?.trim() || undefined
}

function onlyChild(parent: XmlElement, name: string): XmlElement | undefined {
  const [first, second] = childrenOf(parent, name)
  if (second) throw malformed()
  return first
}
