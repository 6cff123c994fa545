// Commands that wait go on when the store was started anew meanwhile, and end when it stays away.
import t from 'tap'
import { NoAnswer } from '../../../src/cli/admin-client.ts'
import { waitUntilVacated } from '../../../src/cli/drive.ts'
import { HealLine, waitForHealing } from '../../../src/cli/heal.ts'
import { isStartedAnew, Outages } from '../../../src/cli/outages.ts'
import { Exit } from '../../../src/exit.ts'
import type { DriveDetails, DriveList, HealingStatus } from '../../../src/gateway/admin-api.ts'

const HEALING: HealingStatus = {
  ...{ verified: false, lastEventMs: 1_000, queued: 0, waiting: 0, passes: [] },
  ...{ ended: { check: 5, scrub: 0 }, checkedBlobs: 90, mendedShards: 7, bytesRead: 2048 },
  ...{ bytesWritten: 0, checkedFiles: 0, damagedFiles: 0, unrepairableCount: 0, unrepairable: [] },
}
/** What another process tells at first. */
const ANEW: HealingStatus = {
  ...HEALING,
  ...{ ended: { check: 0, scrub: 0 }, checkedBlobs: 0, mendedShards: 0, bytesRead: 0 },
}
const VERIFIED = { ...ANEW, ended: { check: 1, scrub: 1 }, verified: true, lastVerifiedMs: 20_000 }
const DRAINING: DriveDetails = {
  ...{ id: 2, state: 'draining', weight: 1, metadataReplicas: 0, blobs: 3 },
  ...{ isLeaving: true, isVacated: false },
}
const AWAY = new NoAnswer('no answer from http://x: gone')

/** Time that only sleeping takes, and what was said. */
class Waiting {
  nowMs = 0
  readonly said: string[] = []
  readonly clock = {
    monotonicMs: () => this.nowMs,
    sleep: async (ms: number) => {
      this.nowMs += ms
    },
  }
  readonly say = (sentence: string): void => void this.said.push(sentence)
}

/** Answers one after the other, the last for ever; an error is thrown. */
function telling<T>(...answers: (T | Error)[]): () => Promise<T> {
  let asked = 0
  return async () => {
    const answer = answers[Math.min(asked++, answers.length - 1)]!
    if (answer instanceof Error) throw answer
    return answer
  }
}

t.test('a short outage is waited for, and said once', async (t) => {
  const waiting = new Waiting()
  const outages = new Outages(waiting)
  t.equal(await outages.over(telling<string>(AWAY, AWAY, 'here')), 'here')
  t.equal(outages.count, 1)
  t.same(waiting.said, [
    'no answer from http://x: gone; it is waited for, 60 s at most.',
    'the store answers again.',
  ])
  t.equal(await outages.over(telling('here')), 'here')
  t.equal(outages.count, 1)
})

t.test('a long one is not, and what is answered is no outage', async (t) => {
  const waiting = new Waiting()
  const outages = new Outages(waiting)
  await t.rejects(outages.over(telling(AWAY)), AWAY)
  t.equal(waiting.nowMs, 60_000)
  const denied = new Exit(1, 'http://x answered 403: no')
  await t.rejects(outages.over(telling(denied)), denied)
  t.equal(waiting.nowMs, 60_000, 'at once')
  await t.rejects(outages.over(telling(AWAY)), AWAY)
  t.equal(waiting.nowMs, 120_000, 'each outage has its minute')
})

t.test('a process that counts less is another one', async (t) => {
  t.ok(isStartedAnew(HEALING, ANEW))
  t.ok(isStartedAnew(HEALING, { ...HEALING, bytesRead: 2047 }))
  t.notOk(isStartedAnew(HEALING, HEALING))
  t.notOk(isStartedAnew(ANEW, HEALING))
  const line = new HealLine()
  line.show(HEALING, 0)
  t.notMatch(line.show(ANEW, 1_000), /-|mended/, 'nothing is counted below nothing')
})

t.test('heal: another process is asked for a pass of its own', async (t) => {
  const stories: [string, (HealingStatus | Error)[]][] = [
    ['an outage', [HEALING, AWAY, AWAY, ANEW, VERIFIED]],
    ['an outage that nobody can tell from counts', [ANEW, AWAY, VERIFIED]],
    ['so short that nobody saw it', [HEALING, ANEW, VERIFIED]],
  ]
  for (const [name, told] of stories) {
    const waiting = new Waiting()
    let begun = 0
    const client = {
      healing: telling(...told),
      beginHeal: async () => {
        begun += 1
        return { askedMs: 10_000, scrubsEnded: 1 }
      },
    }
    const parts = { ...waiting, client, showProgress: () => {} }
    const { kind } = await waitForHealing({ timeoutMs: 1e6 }, parts)
    t.same({ kind, begun }, { kind: 'verified', begun: 2 }, name)
  }
})

t.test('drain: waiting goes on', async (t) => {
  const waiting = new Waiting()
  const listDrives = telling<DriveList>(
    { drives: [DRAINING] },
    AWAY,
    { drives: [DRAINING] },
    { drives: [{ ...DRAINING, isVacated: true }] },
  )
  const client = { listDrives, healing: telling(HEALING, AWAY, ANEW) }
  const what = { driveId: 2, timeoutMs: 1e6 }
  const parts = { client, world: waiting, say: waiting.say }
  t.match(await waitUntilVacated(what, parts), { id: 2, isVacated: true })
  t.equal(waiting.said.length, 4, 'two outages')
})

t.test('drain: passes of another process are counted anew', async (t) => {
  const waiting = new Waiting()
  const lost = { unrepairableCount: 1, unrepairable: [{ uid: 'u', part: 0 }] }
  const passes = (check: number): HealingStatus => ({
    ...ANEW,
    ...lost,
    ended: { check, scrub: 0 },
  })
  const told = [HEALING, passes(0), passes(1), passes(2)]
  const client = { listDrives: telling({ drives: [DRAINING] }), healing: telling(...told) }
  const parts = { client, world: waiting, say: waiting.say }
  await t.rejects(waitUntilVacated({ driveId: 2, timeoutMs: 1e6 }, parts), {
    exitCode: 5,
    message: /blob u\.0 can not be mended/,
  })
})
