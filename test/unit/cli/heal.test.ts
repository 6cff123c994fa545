// kintsugi heal --wait against a store that tells what a list says: when waiting ends, and as what.
import t from 'tap'
import {
  explain,
  type HealEnd,
  sayBegun,
  sayUntold,
  sumUp,
  waitForHealing,
} from '../../../src/cli/heal.ts'
import { inspectAll, parsePlace, showObject } from '../../../src/cli/inspect.ts'
import { showStatus } from '../../../src/cli/status.ts'
import type {
  HealingStatus,
  InspectedObject,
  PartStatus,
  StoreStatus,
} from '../../../src/gateway/admin-api.ts'
import { showBytes } from '../../../src/kit/bytes.ts'

const QUIET: HealingStatus = {
  verified: false,
  lastEventMs: 1_000,
  queued: 0,
  waiting: 0,
  passes: [],
  ended: { check: 1, scrub: 0 },
  checkedBlobs: 3,
  mendedShards: 0,
  bytesRead: 2048,
  bytesWritten: 0,
  checkedFiles: 0,
  damagedFiles: 0,
  unrepairableCount: 0,
  unrepairable: [],
}
const ONE = { check: 1, scrub: 1 }
const TWO = { check: 1, scrub: 2 }
const VERIFIED = { verified: true, lastVerifiedMs: 20_000 }

/** A store that tells one after the other, the last for ever; every poll takes a second. */
async function wait(told: readonly Partial<HealingStatus>[]): Promise<HealEnd['kind'] | string> {
  let polls = 0
  let begun = 0
  let nowMs = 0
  const end = await waitForHealing(
    { timeoutMs: 10_000 },
    {
      client: {
        healing: async () => ({ ...QUIET, ...told[Math.min(polls++, told.length - 1)] }),
        beginHeal: async () => ({ askedMs: 10_000, scrubsEnded: ++begun }),
      },
      clock: {
        monotonicMs: () => nowMs,
        sleep: async (ms) => {
          nowMs += ms
        },
      },
      showProgress: () => {},
      say: () => {},
    },
  )
  return `${end.kind} after ${begun}`
}

t.test('waiting ends', async (t) => {
  t.equal(await wait([{}, { ended: ONE, ...VERIFIED }]), 'verified after 1')
  t.equal(await wait([{ ...VERIFIED }, {}]), 'timeout after 1', 'an earlier pass proves nothing')
  const early = { verified: true, lastVerifiedMs: 9_999 }
  t.equal(
    await wait([
      { ended: ONE, ...early },
      { ended: TWO, ...VERIFIED },
    ]),
    'verified after 2',
  )
  t.equal(await wait([{ ended: ONE }, { ended: TWO, ...VERIFIED }]), 'verified after 2')
  t.equal(
    await wait([{ unrepairableCount: 1 }, { ended: ONE, unrepairableCount: 1 }]),
    'unrepairable after 1',
  )
  t.equal(await wait([{ ended: ONE, waiting: 2 }]), 'waiting-for-drives after 1')
  t.match(await wait([{ ended: { check: 0, scrub: 99 } }]), /timeout/)
})

t.test('a node that did not hear the question is asked again', async (t) => {
  let begun = 0
  let nowMs = 0
  const told = { ...QUIET, ...VERIFIED, endedScrubs: { a: 1, b: 7 } }
  const { kind } = await waitForHealing(
    { timeoutMs: 10_000 },
    {
      client: {
        healing: async () => told,
        beginHeal: async () => {
          begun += 1
          const nodes: Record<string, number> = begun === 1 ? { a: 1 } : { a: 1, b: 7 }
          return { askedMs: 0, scrubsEnded: 0, nodes }
        },
      },
      clock: {
        monotonicMs: () => nowMs,
        sleep: async (ms) => {
          nowMs += ms
        },
      },
      showProgress: () => {},
      say: () => {},
    },
  )
  t.equal(`${kind} after ${begun}`, 'verified after 2')
})

t.test('passes that end and verify nothing are told from a pass that takes long', async (t) => {
  const said: string[] = []
  let nowMs = 0
  const waitFor = (healing: HealingStatus) =>
    waitForHealing(
      { timeoutMs: nowMs + 3_000 },
      {
        client: {
          healing: async () => healing,
          beginHeal: async () => ({ askedMs: 0, scrubsEnded: 1 }),
        },
        clock: {
          monotonicMs: () => nowMs,
          sleep: async (ms) => {
            nowMs += ms
          },
        },
        showProgress: () => {},
        say: (sentence) => said.push(sentence),
      },
    )
  const inVain = await waitFor({ ...QUIET, ended: ONE })
  t.match(inVain, { kind: 'timeout', inVain: 4 })
  t.match(said, [/^a pass ended, and not everything is verified: kintsugi status/])
  t.equal(said.length, 1, 'it is said once')
  t.match(explain({ ...inVain, kind: 'timeout' }, '3'), /^4 passes ended within 3 s without/)
  const slow = await waitFor(QUIET)
  t.match(slow, { kind: 'timeout', inVain: 0 })
  t.match(explain({ ...slow, kind: 'timeout' }, '3'), /^no pass came to its end within 3 s/)
  const one = { ...slow, healing: { ...QUIET, waiting: 1 }, kind: 'waiting-for-drives' as const }
  t.equal(explain(one, '3'), 'there is no drive for shards of 1 blob.')
})

t.test('who was told of a pass that nobody waits for, and who was not', async (t) => {
  const asked = { askedMs: 0, scrubsEnded: 3 }
  t.equal(sayBegun(asked), 'A pass over all blobs was asked for.', 'a store of one machine')
  t.equal(sayUntold(asked), undefined)
  const all = { ...asked, nodes: { a: 1, b: 2 }, silent: [] }
  t.equal(sayBegun(all), 'A pass over all blobs was asked for.')
  t.equal(sayUntold(all), undefined)
  const some = { ...all, silent: ['c'] }
  t.match(sayBegun(some), /asked of 2 nodes: a, b\.$/)
  t.match(sayUntold(some), /^1 node did not answer: c\. kintsugi status says/)
  const none = { ...asked, nodes: {}, silent: ['a', 'b'] }
  t.equal(sayBegun(none), 'No node answered.')
  t.match(sayUntold(none), /^2 nodes did not answer: a, b\./)
})

t.test('what was counted since a start is not said of the pass', async (t) => {
  t.match(sumUp(QUIET), /nothing owed\. All passes since the server started: 3 blobs checked/)
  t.match(sumUp({ ...QUIET, endedScrubs: { a: 1 } }), /All passes since the nodes started/)
})

const STATUS: StoreStatus = {
  health: 'damaged',
  reasons: ['1 blob can not be mended.'],
  code: '4+2',
  reducedCode: '4+1',
  drives: [
    { id: 1, path: '/mnt/a', state: 'active' },
    { id: 12, state: 'out', reason: 'it is missing' },
  ],
  metadata: { partitions: 8, inSync: 7, replicas: 3 },
  healing: {
    ...QUIET,
    passes: [{ kind: 'scrub', startedMs: 0, blobs: 2, bytes: 5_000_000, mendedShards: 0 }],
    unrepairableCount: 12,
    unrepairable: [{ bucket: 'b', key: 'k', uid: 'u', part: 0, good: 3, needed: 4 }],
  },
  uploads: { count: 1, bytes: 5_000_000, oldestMs: 0 },
  orphans: {
    ...{ passes: 2, lastPassMs: 0, deleted: 7, deletedBytes: 4096, adopted: 1 },
    left: { unreadable: 1, useless: 2, undecided: 0, held: 0 },
  },
}

t.test('a status in words', async (t) => {
  const text = showStatus(STATUS).join('\n')
  t.notMatch(text, /healthy/)
  t.match(
    text,
    /^Orphans {3}last looked for .*; since the start 7 deleted \(4.*\), 1 in use again, 3 left$/m,
  )
  t.notMatch(text, /release-orphans/)
  t.notMatch(text, /Restarts/)
  const restarts = { count: 2, last: { signal: 'SIGSEGV', ms: 0 } }
  t.match(
    showStatus({ ...STATUS, restarts }).at(-1),
    /^Restarts +the server was started again 2 times, the last time after SIGSEGV at 1970-01-01/,
  )
  const held = showStatus({ ...STATUS, orphans: { ...STATUS.orphans, heldSinceMs: 0 } }).join('\n')
  t.match(held, /^ {10}kept since the recovery of 1970.*: kintsugi release-orphans/m)
  t.match(text, /^Health +damaged\n +1 blob can not be mended\./)
  t.match(
    text,
    /Drives +1 of 2 active\n +1 +active +\/mnt\/a\n +12 +out +\(not given\) +it is missing/,
  )
  t.match(text, /7 of 8 partitions in sync, each on 3 drives/)
  t.match(text, /scrub since 1970-01-01 00:00:00 UTC: 2 blobs of 4\.8 MiB/)
  t.match(text, /Verified +never since the start/)
  t.match(text, /s3:\/\/b\/k \(blob u\): 3 of 4 shards that are needed are left\n +and 11 more/)
  t.match(text, /Uploads +1 under way with 4.8 MiB, the oldest of 1970/)
  t.equal(showBytes(1023), '1023 B')
})

const PART: PartStatus = {
  number: 1,
  bytes: 10,
  code: '1+2',
  uid: 'u',
  health: 'degraded',
  slots: [
    { slot: 0, drive: 1, path: '/mnt/a', state: 'whole' },
    { slot: 1, drive: 2, path: '/mnt/b', state: 'corrupt' },
    { slot: 2, state: 'unwritten' },
  ],
}
const OBJECT: InspectedObject = {
  bucket: 'b',
  key: 'k',
  versionId: 'null',
  modifiedMs: 0,
  deleteMarker: false,
  bytes: 10,
  etag: 'e',
  storageClass: 'STANDARD',
  encryption: 'SSE-C',
  partCount: 1,
  parts: [PART],
}

t.test('an object in words', async (t) => {
  const text = showObject(OBJECT).join('\n')
  t.match(text, /Health +degraded: 1 of 1 parts/)
  t.match(text, /slot 1 +drive 2 +corrupt +\/mnt\/b\n +slot 2 +no drive +unwritten$/)
  t.match(text, /Encryption +SSE-C/)
  t.match(showObject({ ...OBJECT, parts: [], partCount: 0 }).join(), /no bytes but its row/)
  t.match(showObject({ ...OBJECT, deleteMarker: true }).join(), /a delete marker/)
  t.same(parsePlace('s3://b/a/b c?%20'), { bucket: 'b', key: 'a/b c?%20' })
  for (const place of ['b/k', 's3://b', 's3://b/', 's3:///k'])
    t.throws(() => parsePlace(place), { exitCode: 2, message: /BUCKET/ }, place)
})

t.test('parts come page by page, of one version', async (t) => {
  const page = (after: number, change: Partial<InspectedObject> = {}): InspectedObject => ({
    ...OBJECT,
    parts: [{ ...PART, number: after + 1 }],
    ...(after < 2 ? { nextAfterPart: after + 1 } : {}),
    ...change,
  })
  const all = await inspectAll(OBJECT, { inspect: async ({ afterPart }) => page(afterPart) })
  t.same(
    all.parts.map(({ number }) => number),
    [1, 2, 3],
  )
  t.equal(all.nextAfterPart, undefined)
  const replaced = {
    inspect: async (asked: { afterPart: number }) =>
      page(asked.afterPart, { etag: `${asked.afterPart}` }),
  }
  await t.rejects(inspectAll(OBJECT, replaced), { exitCode: 1, message: /replaced/ })
  const stuck = { inspect: async () => page(0) }
  await t.rejects(inspectAll(OBJECT, stuck), { exitCode: 1, message: /get on/ })
})
