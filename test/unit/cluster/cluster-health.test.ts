// What may be said of a cluster: never that it is healthy because nothing is known to be wrong.
import t from 'tap'
import { sumUpkeep } from '../../../src/cluster/cluster-healing.ts'
import { judgeCluster, sayDrives, sayPartitions } from '../../../src/cluster/cluster-health.ts'
import { NO_STATUS } from '../../../src/cluster/upkeep-status.ts'
import type { DescribedDrive } from '../../../src/storage-node/rpc/drive-messages.ts'
import type { NodeUpkeepStatus } from '../../../src/storage-node/rpc/upkeep-messages.ts'

/** Two nodes that lead four partitions and read every byte. */
const ONE: NodeUpkeepStatus = {
  ...NO_STATUS,
  partitions: [0, 1],
  complete: true,
  lastVerifiedMs: 5,
}
const TWO: NodeUpkeepStatus = { ...ONE, partitions: [2, 3], lastVerifiedMs: 3 }

function judge(one: NodeUpkeepStatus, two: NodeUpkeepStatus | undefined, degraded: string[] = []) {
  const found = new Map([['one', one], ...(two ? ([['two', two]] as const) : [])])
  return judgeCluster(degraded, sumUpkeep(found, { partitions: 4, buckets: {} }))
}

t.test('a cluster is healthy when all that leads has looked at everything', async (t) => {
  t.same(judge(ONE, TWO), { health: 'healthy', reasons: [] })
  const idle = { ...TWO, partitions: [], complete: false }
  t.match(judge({ ...ONE, partitions: [0, 1, 2, 3] }, idle), { health: 'healthy' })
})

t.test('and is not while anything of that is not known', async (t) => {
  t.match(judge(ONE, undefined), { health: 'serving', reasons: [/Not every byte/] })
  t.match(judge(ONE, { ...TWO, partitions: [2] }), { health: 'serving' })
  t.match(judge(ONE, { ...TWO, complete: false }), { health: 'serving' })
  const { lastVerifiedMs: _, ...never } = TWO
  t.match(judge(ONE, never), { health: 'serving' })
  const pass = { kind: 'scrub' as const, startedMs: 1, blobs: 1, bytes: 1, mendedShards: 0 }
  t.match(judge(ONE, { ...never, passes: [pass] }), { reasons: [/a pass is under way/] })
})

t.test('the worst that is true comes first', async (t) => {
  t.match(judge(ONE, { ...TWO, complete: false, queued: 2 }), {
    health: 'mending',
    reasons: ['2 blobs are to be mended.', /Not every byte/],
  })
  t.match(judge(ONE, TWO, ['1 of 6 nodes does not answer.']), { health: 'degraded' })
  t.match(judge(ONE, { ...TWO, complete: false, waiting: 1 }), { health: 'degraded' })
  const lost = { ...TWO, complete: false, unrepairableCount: 1 }
  t.match(judge(ONE, lost, ['A node is away.']), { health: 'damaged' })
})

t.test('drives that failed or are full are told of as their nodes see them', async (t) => {
  const drives = [1, 2, 3, 4, 5].map((id) => ({
    ...{ id, uuid: `u${id}`, weight: 1, nodeId: id < 4 ? 'one' : 'two' },
    state: id === 3 ? ('out' as const) : ('active' as const),
  }))
  const moves = { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0 } as const
  const say = (one: Omit<DescribedDrive, 'path'>[]): string[] => {
    const told = one.map((drive) => ({ ...drive, path: '/d' }))
    const node = { epoch: 1, drives: told, leaving: [], counts: [], moves }
    return sayDrives(
      { drives },
      new Map([
        ['one', node],
        ['two', undefined],
      ]),
    )
  }
  t.same(say([{ driveId: 1, level: 'no-moves' }, { driveId: 2 }]), [])
  t.same(
    say([
      { driveId: 1, failure: 'EIO' },
      { driveId: 3, failure: 'it is out' },
    ]),
    ['1 of 5 drives is not in service (drive 1: EIO).'],
  )
  t.same(
    say([
      { driveId: 1, level: 'read-only' },
      { driveId: 2, level: 'failsafe' },
    ]),
    ['2 of 5 drives are full and take no new data: 1, 2.'],
  )
})

t.test('metadata is there where a majority is, and who leads it answers', async (t) => {
  const partition = (id: number, replicas: number[], primary?: number) => ({
    ...{ id, epoch: 1, replicas, isChanging: false },
    ...(primary === undefined ? {} : { primary }),
  })
  const say = (partitions: ReturnType<typeof partition>[], there: number[]): string[] => {
    const seen = partitions.map((one) => {
      const count = one.replicas.filter((id) => there.includes(id)).length
      const isLed = one.primary !== undefined && there.includes(one.primary)
      return { ...one, isLed, there: count, hasMajority: count * 2 > one.replicas.length }
    })
    return sayPartitions(seen, { replicas: 3 })
  }
  const whole = [partition(0, [1, 2, 3], 1), partition(1, [1, 2, 3], 3)]
  t.same(say(whole, [1, 2, 3]), [])
  t.same(say(whole, [1, 2]), ['1 metadata partition is led by a node that does not answer.'])
  t.match(say(whole, [1]), [
    /^2 metadata partitions lack the majority.*cluster recover/,
    /^1 .*led/,
  ])
  const two = [partition(0, [1, 2], 1), partition(1, [2, 3])]
  t.match(say(two, [1, 3]), [/^2 .* lack/, /^1 .* is led by nobody/, /^2 .* fewer than 3/])
  t.match(say([partition(0, [], undefined)], [1]), [/nobody/, /^1 .* has fewer/])
})
