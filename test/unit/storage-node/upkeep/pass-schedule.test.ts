// When passes begin, and which drives are waited for before what was on them is made again.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/digest.ts'
import { buildMap, codeForDrives } from '../../../../src/placement/build-map.ts'
import type { ClusterMap } from '../../../../src/placement/cluster-map.ts'
import { PassSchedule } from '../../../../src/storage-node/upkeep/pass-schedule.ts'

t.before(prepareDigests)

const OPTIONS = { scrubPeriodMs: 1_000_000, outDelayMs: 900, urgentDelayMs: 200, againMs: 60 }

/** Eight drives of 4+2, these of them out. */
function mapWithout(...out: number[]): ClusterMap {
  const drives = Array.from({ length: 8 }, (_, index) => ({
    id: index + 1,
    uuid: `${index + 1}`,
    weight: 1,
    state: 'active' as const,
  }))
  const map = buildMap(drives, codeForDrives(8), '7')
  return {
    ...map,
    drives: map.drives.map((drive) =>
      out.includes(drive.id) ? { ...drive, state: 'out' } : drive,
    ),
  }
}

const CODE = codeForDrives(8)

t.test('a drive that is out at the start is waited for like one that goes out', async (t) => {
  t.equal(CODE.parityCount, 2)
  const wide = { ...mapWithout(3), code: { ...CODE, parityCount: 3 } }
  const schedule = new PassSchedule(OPTIONS, wide, 1000)
  t.same([...schedule.awaited(1000)], [3])
  t.same([...schedule.awaited(1899)], [3])
  t.same([...schedule.awaited(1900)], [], 'long enough')
  schedule.mapChanged({ ...mapWithout(), code: wide.code }, 1500)
  t.same([...schedule.awaited(1500)], [], 'it is back')
})

t.test(
  'with little redundancy left a check is due at once, and a drive is awaited for a moment',
  async (t) => {
    const schedule = new PassSchedule(OPTIONS, mapWithout(), 0)
    schedule.mapChanged(mapWithout(3), 10)
    t.equal(schedule.next(10), 'check')
    schedule.began('check', 10)
    schedule.began('scrub', 10)
    t.same([...schedule.awaited(209)], [3])
    t.same([...schedule.awaited(210)], [])
    t.equal(schedule.next(209), undefined)
    t.equal(schedule.next(210), 'check', 'also when the first one has not ended')
  },
)

t.test('a drive is waited for until somebody wants the store whole', async (t) => {
  const schedule = new PassSchedule(OPTIONS, mapWithout(3), 0)
  schedule.began('check', 0)
  schedule.began('scrub', 0)
  t.same([...schedule.awaited(10)], [3])
  t.equal(schedule.next(10), undefined)
  schedule.waitForNone(10)
  t.same([...schedule.awaited(10)], [])
  t.equal(schedule.next(10), 'check')
  schedule.mapChanged(mapWithout(), 20)
  schedule.mapChanged(mapWithout(3), 30)
  t.same([...schedule.awaited(30)], [3], 'the next time it is waited for again')
})

t.test('with no redundancy left nothing is waited for', async (t) => {
  const schedule = new PassSchedule(OPTIONS, mapWithout(3), 0)
  t.same([...schedule.awaited(10)], [3])
  schedule.mapChanged(mapWithout(3, 4), 10)
  t.same([...schedule.awaited(10)], [])
  t.equal(schedule.next(10), 'check')
})

t.test('what was left for a drive that is awaited is checked when the wait is over', async (t) => {
  const wide = { ...mapWithout(3), code: { ...CODE, parityCount: 3 } }
  const schedule = new PassSchedule(OPTIONS, wide, 0)
  schedule.began('check', 0)
  schedule.began('scrub', 0)
  const counts = { mendedShards: 0, unsettled: 0 }
  schedule.ended({ kind: 'check', counts } as Parameters<PassSchedule['ended']>[0], 100)
  t.equal(schedule.next(899), undefined)
  t.equal(schedule.next(900), 'check')
})
