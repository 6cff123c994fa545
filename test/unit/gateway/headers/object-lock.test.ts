// x-amz-object-lock-*: what a request asks for, what a bucket gives, what an answer shows (pitfall 118).
import t from 'tap'
import {
  defaultRetention,
  lockFields,
  parseAskedLock,
  parseLock,
  wantsBypass,
} from '../../../../src/gateway/headers/object-lock.ts'
import type { Bucket, BucketLock, ObjectVersion } from '../../../../src/objects/object-store.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const MODE = 'x-amz-object-lock-mode'
const UNTIL = 'x-amz-object-lock-retain-until-date'
const HOLD = 'x-amz-object-lock-legal-hold'

function bucketWith(objectLock?: BucketLock): Bucket {
  const settings = objectLock && { versioning: 'enabled' as const, objectLock }
  const bucket: Bucket = {
    name: 'b',
    id: 1,
    createdMs: 0,
    region: 'us-east-1',
    revision: 1,
    state: 'live',
  }
  return settings ? { ...bucket, settings } : bucket
}

const locking = bucketWith({})

t.test('mode, date and hold', async (t) => {
  const until = '2026-11-22T12:00:00Z'
  t.same(parseLock({ [MODE]: 'GOVERNANCE', [UNTIL]: until, [HOLD]: 'ON' }, locking, NOW_MS), {
    retention: { mode: 'GOVERNANCE', untilMs: Date.UTC(2026, 10, 22, 12) },
    legalHold: true,
  })
  t.same(parseLock({}, locking, NOW_MS), {})
  t.same(parseLock({ [HOLD]: 'OFF' }, locking, NOW_MS), { legalHold: false })
  for (const same of ['2026-11-22T13:30:00.000+01:30', '2026-11-22T12:00:00.000000Z'])
    t.same(
      parseLock({ [MODE]: 'COMPLIANCE', [UNTIL]: same }, locking, NOW_MS).retention,
      { mode: 'COMPLIANCE', untilMs: Date.UTC(2026, 10, 22, 12) },
      same,
    )
})

t.test('what is refused', async (t) => {
  const later = '2026-11-22T12:00:00Z'
  const rows: [headers: Record<string, string>, argument: string, message: RegExp][] = [
    [{ [MODE]: 'GOVERNANCE' }, UNTIL, /must both be supplied$/],
    [{ [UNTIL]: later }, MODE, /must both be supplied$/],
    [{ [MODE]: 'governance', [UNTIL]: later }, MODE, /Unknown wormMode directive/],
    [{ [MODE]: 'GOVERNANCE', [UNTIL]: '2026-11-22' }, UNTIL, /ISO 8601/],
    [{ [MODE]: 'GOVERNANCE', [UNTIL]: '2026-11-22T12:00:00' }, UNTIL, /ISO 8601/],
    [{ [MODE]: 'GOVERNANCE', [UNTIL]: '2026-13-22T12:00:00Z' }, UNTIL, /ISO 8601/],
    [{ [MODE]: 'GOVERNANCE', [UNTIL]: '2026-11-21T12:00:00Z' }, UNTIL, /in the future!/],
    [{ [HOLD]: 'on' }, HOLD, /Legal Hold must be either/],
  ]
  for (const [headers, argument, message] of rows) {
    const expected = { code: 'InvalidArgument', message, elements: { ArgumentName: argument } }
    t.throws(() => parseLock(headers, locking, NOW_MS), expected, JSON.stringify(headers))
  }
  for (const headers of [{ [MODE]: 'GOVERNANCE', [UNTIL]: later }, { [HOLD]: 'OFF' }])
    t.throws(() => parseLock(headers, bucketWith(), NOW_MS), {
      code: 'InvalidRequest',
      message: 'Bucket is missing Object Lock Configuration',
    })
})

t.test('the default of the bucket, unless the request names a retention', async (t) => {
  const bucket = bucketWith({ defaultRetention: { mode: 'COMPLIANCE', days: 2 } })
  const given = { mode: 'COMPLIANCE', untilMs: Date.UTC(2026, 10, 23, 12) }
  t.same(parseLock({}, bucket, NOW_MS), { retention: given })
  t.same(parseLock({ [HOLD]: 'ON' }, bucket, NOW_MS), { retention: given, legalHold: true })
  t.same(parseAskedLock({ [HOLD]: 'ON' }, bucket, NOW_MS), { legalHold: true })
  const headers = { [MODE]: 'GOVERNANCE', [UNTIL]: '2026-11-21T12:00:01Z' }
  t.equal(parseLock(headers, bucket, NOW_MS).retention?.mode, 'GOVERNANCE')
})

t.test('a year ends on the same day of the calendar', async (t) => {
  const bucket = bucketWith({ defaultRetention: { mode: 'GOVERNANCE', years: 4 } })
  t.equal(defaultRetention(bucket, NOW_MS)?.untilMs, Date.UTC(2030, 10, 21, 12))
  const one = bucketWith({ defaultRetention: { mode: 'GOVERNANCE', years: 1 } })
  t.equal(defaultRetention(one, Date.UTC(2028, 1, 29))?.untilMs, Date.UTC(2029, 2, 1))
  t.equal(defaultRetention(locking, NOW_MS), undefined)
  t.equal(defaultRetention(bucketWith(), NOW_MS), undefined)
})

t.test('shown', async (t) => {
  const version = {
    retention: { mode: 'GOVERNANCE', untilMs: NOW_MS },
    legalHold: true,
  } as ObjectVersion
  t.same(lockFields(version), {
    [MODE]: 'GOVERNANCE',
    [UNTIL]: '2026-11-21T12:00:00.000Z',
    [HOLD]: 'ON',
  })
  t.same(lockFields({} as ObjectVersion), {})
})

t.test('bypass', async (t) => {
  const ask = (value: string) => wantsBypass({ 'x-amz-bypass-governance-retention': value })
  t.ok(ask('true'))
  t.ok(ask('True'))
  t.notOk(ask('false'))
  t.notOk(wantsBypass({}))
})
