// What a sweep for orphans asks of rows: of all partitions, but only for the drives that it goes through.
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import { type Log, silentLog } from '../../../../src/kit/log.ts'
import { type Clock, realWorld } from '../../../../src/kit/world.ts'
import { MetadataUnavailable } from '../../../../src/metadata/unavailable.ts'
import type { Coordinator } from '../../../../src/placement/coordinator.ts'
import type { ShardId } from '../../../../src/storage-node/contract.ts'
import type { NamingRows } from '../../../../src/storage-node/upkeep/named-shards.ts'
import {
  OrphanSweep,
  type SweepOptions,
  type SweepParts,
} from '../../../../src/storage-node/upkeep/orphan-sweep.ts'

await prepareDigests()

const MINUTE_MS = 60_000
const uid = 'ab'.repeat(16) as ShardId['uid']

/** A partition whose rows name one blob, on these drives. */
function naming(drives: readonly number[]): NamingRows {
  const references = [{ blob: { uid, part: 0, drives } }]
  return {
    scanBlobs: async () => ({ references, after: undefined, more: false }) as never,
    dueGarbage: async () => [],
  }
}

interface Heard {
  warnings: unknown[]
  /** What the sweep took for unnamed. */
  found: string[]
}

/** A process that has the drives 1 and 2 of 4. Its clock goes on only while it sleeps. */
function openSweep(
  t: Test,
  options: Partial<SweepOptions>,
  parts: Partial<SweepParts>,
): { sweep: OrphanSweep; clock: Clock; heard: Heard } {
  let nowMs = 1_000_000
  const clock: Clock = {
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      await turn()
      signal?.throwIfAborted()
      nowMs += ms
    },
  }
  const drives = [1, 2, 3, 4].map((id) => ({ id, state: 'active' }))
  const coordinator = { state: { map: { drives } }, watch: () => () => {} }
  const heard: Heard = { warnings: [], found: [] }
  const log: Log = { ...silentLog, warn: (data: unknown) => void heard.warnings.push(data) }
  const sweep = new OrphanSweep(
    { periodMs: 10 * MINUTE_MS, graceMs: 0, tranquility: 0, ...options },
    {
      ...{ world: { clock, random: realWorld().random }, log, partitions: [] },
      coordinator: coordinator as unknown as Coordinator,
      isMine: (driveId) => driveId <= 2,
      rule: { mayJudge: () => true },
      lists: {
        listShards: async function* (driveId) {
          yield [0, 1, 2, 3].map((slot) => ({ uid, part: 0, slot }))
          if (driveId > 2) throw new Error('it is another node that has it')
        },
      },
      settle: async (shards) => {
        heard.found.push(...shards.map(({ driveId, id }) => `${id.slot} on ${driveId}`))
      },
      ...parts,
    },
  )
  t.teardown(() => sweep.stop())
  return { sweep, clock, heard }
}

async function untilEnded(sweep: OrphanSweep, ended: number): Promise<void> {
  for (let round = 0; round < 200_000 && sweep.progress().ended < ended; round += 1) await turn()
}

t.test('only what is named on the drives of the process is kept in mind', async (t) => {
  const partitions = [naming([1, 2, 3, 4]), naming([2, 1, 4, 3])]
  const { sweep, heard } = openSweep(t, { namedShardsMax: 4 }, { partitions })
  sweep.start()
  await untilEnded(sweep, 2)
  t.same(heard.found.slice(0, 4), ['2 on 1', '3 on 1', '2 on 2', '3 on 2'])
  t.same(heard.warnings, [], 'the other four would have been too many')
})

t.test('where they are too many it is said once', async (t) => {
  const partitions = [naming([1, 2, 3, 4]), naming([2, 1, 4, 3])]
  const { sweep, heard } = openSweep(t, { namedShardsMax: 3 }, { partitions })
  sweep.start()
  await untilEnded(sweep, 3)
  t.same(heard.warnings, [{ namedShards: 4 }])
})

t.test(
  'who does not answer is asked less and less often, and nobody else for all rows',
  async (t) => {
    const asked = { whole: [] as number[], failing: [] as number[] }
    let fails = true
    const whole = naming([1])
    const partitions: NamingRows[] = [
      {
        ...whole,
        scanBlobs: (after, limit) => {
          asked.whole.push(limit)
          return whole.scanBlobs(after, limit)
        },
      },
      {
        ...whole,
        scanBlobs: async (after, limit) => {
          if (!fails) return await whole.scanBlobs(after, limit)
          asked.failing.push(clock.monotonicMs())
          throw new MetadataUnavailable('the test cut it off')
        },
      },
    ]
    const { sweep, clock } = openSweep(t, {}, { partitions })
    const untilAsked = async (count: number): Promise<number[]> => {
      for (let round = 0; round < 200_000 && asked.failing.length < count; round += 1) await turn()
      return asked.failing.flatMap((atMs, at) =>
        at === 0 ? [] : Math.round((atMs - asked.failing[at - 1]!) / MINUTE_MS),
      )
    }
    sweep.start()
    t.same((await untilAsked(7)).slice(0, 6), [1, 2, 4, 8, 10, 10])
    t.ok(asked.whole.every((limit) => limit === 1))
    fails = false
    await untilEnded(sweep, 1)
    t.ok(asked.whole.some((limit) => limit > 1))
    fails = true
    asked.failing = []
    t.same((await untilAsked(3)).slice(0, 2), [1, 2], 'it is as it was')
  },
)
