// What a start decides from what it finds: never a guess, never a drive formatted by itself.
import t from 'tap'
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import type { DriveMarker } from '../../../src/storage-node/drive-format.ts'
import { checkDrives, codeMisfit, planStart } from '../../../src/storage-node/start-plan.ts'

function marker(driveId: number, clusterId = 'c'): DriveMarker {
  return { format: 4, clusterId, driveId, uuid: `uuid-${driveId}`, createdMs: 0 }
}

function formatted(driveId: number, clusterId = 'c') {
  return {
    path: `/d${driveId}`,
    found: { kind: 'formatted' as const, marker: marker(driveId, clusterId) },
  }
}

function stateOf(driveCount: number): ClusterState {
  const drives = Array.from({ length: driveCount }, (_, index) => ({
    id: index + 1,
    uuid: `uuid-${index + 1}`,
    weight: 1,
    state: 'active' as const,
  }))
  const code = { dataCount: 4, parityCount: 2, matrix: MatrixId.CentredVandermonde }
  const map = { drives, code, partitionCount: 256, metaPartitionCount: 8, slots: [], seed: '1' }
  return {
    clusterId: 'c',
    epoch: 1,
    map,
    metaPartitions: [],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: driveCount + 1,
  }
}

t.test('only empty and missing directories: a new store', async (t) => {
  const plan = planStart([
    { path: '/a', found: { kind: 'empty' } },
    { path: '/b', found: { kind: 'missing' } },
  ])
  t.same(plan, { kind: 'create', paths: ['/a', '/b'] })
})

t.test('an empty directory beside drives is never made one', async (t) => {
  const plan = planStart([formatted(1), { path: '/new', found: { kind: 'empty' } }])
  t.match(plan, { kind: 'open', unused: [{ path: '/new', why: /empty/ }] })
  t.match(plan, { drives: [{ path: '/d1' }] })
  const other = planStart([formatted(1), { path: '/new', found: { kind: 'missing' } }])
  const why = 'it does not exist: kintsugi drive add /new makes it a drive'
  t.match(other, { kind: 'open', unused: [{ path: '/new', why }] })
})

t.test(
  'a drive whose marker is damaged counts as missing beside others, and is refused alone',
  async (t) => {
    const broken = {
      path: '/x',
      found: { kind: 'broken' as const, what: 'format.json is damaged' },
    }
    t.match(planStart([formatted(1), broken]), { kind: 'open', unused: [{ path: '/x' }] })
    t.match(planStart([broken]), { kind: 'refuse', sentence: /format.json is damaged/ })
  },
)

t.test('what is not ours is refused with one sentence', async (t) => {
  const foreign = { path: '/home', found: { kind: 'foreign' as const, what: 'it holds notes.txt' } }
  t.match(planStart([foreign]), {
    kind: 'refuse',
    sentence: /\/home is neither empty nor a kintsugi drive/,
  })
  const older = { path: '/old', found: { kind: 'wrong-format' as const, format: 7 } }
  t.match(planStart([formatted(1), older]), { kind: 'refuse', sentence: /format 7/ })
  t.match(planStart([formatted(1), formatted(2, 'other')]), {
    kind: 'refuse',
    sentence: /another store/,
  })
  const copy = { ...formatted(1), path: '/copy' }
  t.match(planStart([formatted(1), copy]), { kind: 'refuse', sentence: /copies of the same drive/ })
  const found = { kind: 'formatted' as const, marker: { ...marker(1), uuid: 'other' } }
  t.match(planStart([formatted(1), { path: '/other', found }]), {
    kind: 'refuse',
    sentence: /\/d1 and \/other both say that they are drive 1 of this store/,
  })
})

t.test('drives of the same id of two stores are no copies', async (t) => {
  const mine = { ...formatted(1), path: '/mine' }
  const theirs = { ...formatted(1, 'other'), path: '/theirs' }
  const sentence = '/theirs belongs to another store than /mine.'
  t.same(planStart([mine, theirs]), { kind: 'refuse', sentence })
})

/** Nothing is known of drives that are not here. */
const none = new Map<number, string>()

t.test('up to m drives may be missing', async (t) => {
  const state = stateOf(6)
  const drives = (ids: number[]) => ids.map((id) => ({ path: `/d${id}`, marker: marker(id) }))
  t.match(checkDrives(state, drives([6, 5, 4, 3, 2, 1]), none), { kind: 'enough', missing: [] })
  t.match(checkDrives(state, drives([1, 2, 3, 4]), none), {
    kind: 'enough',
    missing: [{ id: 5 }, { id: 6 }],
  })
  t.match(checkDrives(state, drives([1, 2, 3]), none), {
    kind: 'refuse',
    sentence: /3 of 6 drives are missing/,
  })
})

t.test(
  'of each drive that is missing it is said where it was last, and why it is not used',
  async (t) => {
    const state = stateOf(6)
    const there = state.map.drives.map((drive) => ({ ...drive, path: `/d${drive.id}` }))
    const known = { ...state, map: { ...state.map, drives: there } }
    const one = [{ path: '/d1', marker: marker(1) }]
    t.match(checkDrives(known, one, new Map([[2, 'its directory is empty']])), {
      sentence:
        /drive 2 \(uuid-2\), last at \/d2: its directory is empty; drive 3 \(uuid-3\), last at \/d3; /,
    })
  },
)

t.test('a drive that the map does not know is refused', async (t) => {
  const stranger = { path: '/s', marker: { ...marker(2), uuid: 'unknown' } }
  t.match(checkDrives(stateOf(6), [stranger], none), { kind: 'refuse', sentence: /does not know/ })
})

t.test('a code that needs more drives than given is named', async (t) => {
  t.match(codeMisfit({ dataCount: 8, parityCount: 4 }, 6), /needs 12 drives, but 6 were given/)
  t.match(codeMisfit({ dataCount: 4, parityCount: 2 }, 1), /needs 6 drives, but 1 was given/)
  t.equal(codeMisfit({ dataCount: 4, parityCount: 2 }, 6), undefined)
})
