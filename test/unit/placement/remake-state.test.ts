// The coordinator's state made again: what counts, what is added, what is made up.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { remakeState, type StateEvidence } from '../../../src/placement/remake-state.ts'

await prepareDigests()
const { random } = realWorld()

const drives = [1, 2, 3, 4, 5, 6].map((id) => ({ id, uuid: `u${id}`, weight: 1, path: `/d${id}` }))
const code = { dataCount: 4, parityCount: 2, matrix: 1 as const }
const bare: StateEvidence = {
  ...{ clusterId: 'c', drives, replicas: [], buckets: new Map(), codes: [] },
  ...{ epoch: 3, nowMs: 5_000, region: 'eu' },
}
const source: ClusterState = {
  ...remakeState(bare, random).state,
  epoch: 40,
  buckets: {
    a: { name: 'a', id: 1, createdMs: 1, region: 'eu', revision: 9, state: 'live' },
  },
  ...{ nextBucketId: 3, nextDriveId: 7 },
}
const trace = { firstMs: 10, lastMs: 20, versioned: false, everVersioned: false }

t.test('of drives alone', async (t) => {
  const { state, ...made } = remakeState(bare, random)
  t.same(state.map.code, code)
  t.match(made, { isCodeAssumed: true, addedDrives: [], namelessBuckets: [] })
  t.equal(made.lostPartitions.length, state.map.metaPartitionCount)
  t.ok(state.metaPartitions.every(({ epoch, inSync }) => epoch > 0 && inSync.length === 3))
  t.ok(state.epoch > 3 && state.nextDriveId > 6)
  t.same(state.orphanHold, { sinceMs: 5_000 })
})

t.test('the code is that of most shards, copies of small objects aside', async (t) => {
  const copies = { code: { ...code, dataCount: 1 }, shards: 900 }
  const larger = { code: { ...code, dataCount: 3 }, shards: 20 }
  const tooWide = { code: { ...code, dataCount: 8 }, shards: 5_000 }
  const codes = [copies, larger, tooWide]
  const told = remakeState({ ...bare, codes }, random)
  t.match(told, {
    isCodeAssumed: false,
    state: { map: { code: { dataCount: 3, parityCount: 2 } } },
  })
  const threefold = { ...copies, code: { ...copies.code, parityCount: 3 } }
  const guessed = remakeState({ ...bare, codes: [threefold] }, random)
  t.match(guessed, {
    isCodeAssumed: true,
    state: { map: { code: { dataCount: 3, parityCount: 3 } } },
  })
})

t.test('what the copy says stays, and numbers go on above it', async (t) => {
  const { state } = remakeState({ ...bare, source }, random)
  t.same({ ...state.map, drives: 0 }, { ...source.map, drives: 0 })
  t.ok(state.epoch > 40 && state.buckets.a!.revision > 9 && state.nextBucketId > 3)
})

t.test('buckets of which shards alone tell', async (t) => {
  const buckets = new Map([
    [1, { ...trace, everVersioned: true }],
    [2, trace],
    [7, { ...trace, versioned: true, everVersioned: true }],
  ])
  const { state, namelessBuckets } = remakeState({ ...bare, source, buckets }, random)
  t.same(namelessBuckets, ['recovered-7'], 'the copy knows that bucket 2 is no more')
  t.equal(state.buckets.a!.settings?.versioning, 'suspended', 'enabled since the copy')
  t.match(state.buckets['recovered-7'], {
    id: 7,
    createdMs: 10,
    settings: { versioning: 'enabled' },
  })
  t.ok(state.nextBucketId > 7)
  const { a } = source.buckets
  const known = { ...a!, settings: { versioning: 'enabled' as const } }
  const again = remakeState(
    { ...bare, buckets, source: { ...source, buckets: { a: known } } },
    random,
  )
  t.equal(again.state.buckets.a!.settings?.versioning, 'enabled', 'the copy knows better')
})

t.test('drives that came and went since the copy', async (t) => {
  const seventh = { id: 9, uuid: 'u9', weight: 1, path: '/d9' }
  const here = [...drives.slice(1), seventh]
  const { state, addedDrives, lostPartitions } = remakeState(
    { ...bare, source, drives: here },
    random,
  )
  t.same(addedDrives, [9])
  t.match(state.map.drives, [{ id: 1, state: 'out' }])
  t.ok(
    state.map.slots.some((row) => row.includes(9)),
    'it has its share',
  )
  t.equal(lostPartitions.length, 8)
  const replicas = state.metaPartitions.flatMap(({ inSync }) => inSync)
  t.notOk(
    replicas.some(({ driveId }) => driveId === 1),
    'none on a drive that is not here',
  )
})

t.test('a drive that was out or vacated by the copy is judged anew', async (t) => {
  const [first, second, ...others] = source.map.drives
  const old = [
    { ...first!, state: 'out' as const, reason: 'slow' },
    { ...second!, state: 'draining' as const, isLeaving: true as const, isVacated: true as const },
    ...others,
  ]
  const then = { ...source, map: { ...source.map, drives: old } }
  const { drives: now } = remakeState({ ...bare, source: then }, random).state.map
  t.match(now, [
    { id: 1, state: 'active' },
    { id: 2, state: 'draining', isLeaving: true },
  ])
  t.equal(now[1]!.isVacated, undefined)
})

t.test('replicas that reach the highest epoch count', async (t) => {
  const replicas = [
    { partition: 0, driveId: 1, incarnation: 'a', epoch: 12 },
    { partition: 0, driveId: 2, incarnation: 'b', epoch: 14 },
    { partition: 0, driveId: 3, incarnation: 'c', epoch: 14 },
    { partition: 1, driveId: 3, incarnation: 'd', epoch: 2 },
  ]
  const { state, lostPartitions } = remakeState({ ...bare, source, replicas }, random)
  t.same(state.metaPartitions[0], {
    epoch: 15,
    inSync: [
      { driveId: 2, incarnation: 'b' },
      { driveId: 3, incarnation: 'c' },
    ],
  })
  t.same(lostPartitions, [2, 3, 4, 5, 6, 7])
})
