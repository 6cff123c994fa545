// A store is healthy only when that was verified: every other fact takes the word away.
import t from 'tap'
import { watchEvents } from '../../../src/embedded/last-event.ts'
import { type HealthFacts, judgeHealth } from '../../../src/embedded/store-health.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'

const WHOLE: HealthFacts = {
  drives: [{ id: 1, path: '/a', state: 'active' }],
  metadata: { partitions: 8, inSync: 8, replicas: 3 },
  healing: {
    verified: true,
    lastVerifiedMs: 2,
    lastEventMs: 1,
    queued: 0,
    waiting: 0,
    passes: [],
    ended: { check: 1, scrub: 1 },
    checkedBlobs: 0,
    mendedShards: 0,
    bytesRead: 0,
    bytesWritten: 0,
    checkedFiles: 0,
    damagedFiles: 0,
    unrepairableCount: 0,
    unrepairable: [],
  },
}

function judge(change: Partial<HealthFacts['healing']>, rest: Partial<HealthFacts> = {}): string {
  const { health, reasons } = judgeHealth({
    ...WHOLE,
    ...rest,
    healing: { ...WHOLE.healing, ...change },
  })
  return `${health} ${reasons.length}`
}

t.test('the worst that is true', async (t) => {
  t.equal(judge({}), 'healthy 0')
  t.equal(judge({ verified: false }), 'not-verified 1')
  t.equal(judge({ verified: false, queued: 1 }), 'mending 2')
  t.equal(judge({ queued: 1, waiting: 1 }), 'degraded 2')
  t.equal(judge({ waiting: 1, unrepairableCount: 1 }), 'damaged 2')
  t.equal(judge({}, { drives: [{ id: 1, state: 'out' }] }), 'degraded 1')
  t.equal(judge({}, { drives: [{ id: 1, state: 'failed' }] }), 'degraded 1')
  t.equal(judge({}, { metadata: { partitions: 8, inSync: 7, replicas: 3 } }), 'degraded 1')
})

t.test('events: the start, drives that change, damage; no other decision', async (t) => {
  let nowMs = 1
  let decided: (state: ClusterState) => void = () => {}
  const stateWith = (state: 'active' | 'out') =>
    ({ map: { drives: [{ id: 1, uuid: 'u', weight: 1, state }] } }) as unknown as ClusterState
  const watch = (listener: typeof decided) => {
    decided = listener
    return () => {}
  }
  const events = watchEvents({ state: stateWith('active'), watch }, { now: () => nowMs })
  t.equal(events.atMs, 1)
  nowMs = 2
  decided(stateWith('active'))
  t.equal(events.atMs, 1)
  decided(stateWith('out'))
  t.equal(events.atMs, 2)
  nowMs = 3
  events.note()
  t.equal(events.atMs, 3)
})
