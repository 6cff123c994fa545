// What a gateway does with drives and nodes for the root of a cluster, and how it sums up what nodes say.
import t from 'tap'
import {
  type ClusterDriveParts,
  ClusterDrives,
  LOST_REASON,
} from '../../../src/cluster/cluster-drives.ts'
import { sumUpkeep } from '../../../src/cluster/cluster-healing.ts'
import { sumMoves } from '../../../src/cluster/described-drives.ts'
import { NO_STATUS } from '../../../src/cluster/upkeep-status.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { BlobReference } from '../../../src/metadata/contract.ts'
import { buildMap } from '../../../src/placement/build-map.ts'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import {
  type Change,
  type ClusterState,
  CoordinatorUnavailable,
} from '../../../src/placement/coordinator.ts'
import {
  inOrder,
  markOut,
  replaceDrive,
  reserveDriveId,
} from '../../../src/placement/coordinator-changes.ts'
import { closeDrive, vacateClosed } from '../../../src/placement/departure.ts'
import { drivesToTakeBack, SILENT_REASON } from '../../../src/placement/silent-nodes.ts'
import {
  type DrivesOfNode,
  decodeEnterDrive,
  encodeDriveEntered,
  encodeDrivesOfNode,
} from '../../../src/storage-node/rpc/drive-messages.ts'
import { MessageType } from '../../../src/storage-node/rpc/messages.ts'
import { NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'

await prepareDigests()

const idOf = (drive: number): string => drive.toString(16).padStart(16, '0')

/** Six nodes with a drive each, code 2+2; node 6 says nothing. Drive 1 has room for a byte or two. */
function openCluster(parts: Partial<ClusterDriveParts> = {}) {
  const drives: MapDrive[] = Array.from({ length: 6 }, (_, at) => ({
    ...{ id: at + 1, uuid: `drive-${at + 1}`, weight: 10, state: 'active', nodeId: idOf(at + 1) },
  }))
  const code = { dataCount: 2, parityCount: 2, matrix: MatrixId.CentredVandermonde }
  const counts = { partitionCount: 32, metaPartitionCount: 4 }
  const world = { isAway: false, away: [idOf(6)] }
  const coordinator = {
    state: {
      ...{ clusterId: 'c', epoch: 3, map: buildMap(drives, code, '42', counts) },
      ...{ metaPartitions: [], buckets: {}, nextBucketId: 1, nextDriveId: 7 },
      cluster: { nodesExpected: 6, secret: '00' },
    } as ClusterState,
    decide: async (change: Change) => {
      if (world.isAway) throw new CoordinatorUnavailable('it is away', { why: 'away' })
      const next = change(coordinator.state)
      if (next) coordinator.state = { ...next, epoch: coordinator.state.epoch + 1 }
      return coordinator.state
    },
  }
  const told: DrivesOfNode = {
    ...{ epoch: 3, counts: [], leaving: [{ driveId: 5, blobs: 2, oldCopies: 1 }] },
    drives: [1, 7].map((driveId) => ({ driveId, path: '/one', freeBytes: 3, totalBytes: 9 })),
    moves: { phase: 'moving', movedShards: 2, movedBytes: 30, anewBlobs: 0, remainingShards: 4 },
  }
  const forgotten: string[] = []
  const drivesApi = new ClusterDrives({
    coordinator,
    records: { get: () => undefined },
    registry: {
      list: () => [],
      forget: async (nodeId) => {
        forgotten.push(nodeId)
      },
    },
    peers: {
      ask: async (to, { type, body }) => {
        if (world.away.includes(to)) throw new NodeUnreachable('silent', 'not-sent')
        if (type === MessageType.DescribeDrives) return encodeDrivesOfNode(told)
        const { path, ...asked } = decodeEnterDrive(body)
        const drive = { id: 7, uuid: 'drive-7', weight: 1, path, nodeId: to }
        if (asked.kind === 'replace')
          await coordinator.decide(inOrder([reserveDriveId(), replaceDrive(asked.driveId, drive)]))
        return encodeDriveEntered({ kind: 'done', driveId: 7, sentence: path, warnings: [] })
      },
    },
    care: { nodesAway: world.away },
    world: realWorld(),
    log: silentLog,
    partitions: [],
    ...parts,
  })
  const find = (id: number) => coordinator.state.map.drives.find((drive) => drive.id === id)
  const vacate = async (id: number): Promise<void> => {
    await coordinator.decide(closeDrive(id))
    await coordinator.decide(vacateClosed(id, coordinator.state.epoch))
  }
  return { api: drivesApi, coordinator, world, forgotten, find, vacate }
}

t.test('a drive is weighed, emptied, called off, and removed once it is vacated', async (t) => {
  const { api, find, vacate, coordinator, world } = openCluster()
  t.match(await api.weigh({ driveId: 2, weight: 30 }), {
    ...{
      kind: 'done',
      driveId: 2,
      sentence: 'drive 2 weighs 30 now: its share of the data follows.',
    },
  })
  t.match(await api.weigh({ driveId: 2, weight: 31 }), {
    sentence: /weighs 31 now: .* stays as it is/,
  })
  t.equal(find(2)?.weight, 31)
  t.match(await api.remove(5), { kind: 'refused', sentence: /in service: drain it first/ })
  const drain = { driveId: 5, isCancelled: false, reEncode: false }
  t.match(await api.drain(drain), { kind: 'done' })
  t.match(await api.drain(drain), { kind: 'done', sentence: /being emptied already/ })
  t.match(await api.drain({ ...drain, isCancelled: true }), { kind: 'done', sentence: /stays/ })
  t.match(find(5), { state: 'active' })
  await api.drain(drain)
  t.match(await api.remove(5), { kind: 'refused', sentence: /not verified/ })
  await vacate(5)
  t.match(await api.remove(5), { kind: 'done' })
  t.same(coordinator.state.map.removed, [5])
  world.isAway = true
  t.match(await api.weigh({ driveId: 2, weight: 10 }), { kind: 'refused', sentence: /it is away/ })
})

t.test(
  'where too few drives stay for the code objects are written anew, if one says so',
  async (t) => {
    const { api, find, coordinator } = openCluster()
    const drain = { isCancelled: false, reEncode: true, isLost: false }
    t.match(await api.drain({ ...drain, driveId: 5 }), { kind: 'done' })
    t.equal(coordinator.state.map.code.dataCount, 2, 'only where it has to')
    t.match(await api.nodes.drain({ ...drain, nodeId: idOf(4) }), { kind: 'done' })
    const plain = { driveId: 3, isCancelled: false, reEncode: false }
    t.match(await api.drain(plain), {
      kind: 'refused',
      sentence: /3 drives would be left.* kintsugi drive drain 3 --re-encode: .* 1\+2 then/,
    })
    t.match(find(3), { state: 'active' })
    t.match(await api.nodes.drain({ ...drain, nodeId: idOf(3) }), {
      kind: 'done',
      sentence: /1\+2/,
    })
    t.equal(coordinator.state.map.code.dataCount, 1)
    t.match(await api.drain({ ...drain, driveId: 2 }), { kind: 'refused', sentence: /less than 3/ })
  },
)

t.test('a node is emptied and removed; only one that is silent is lost', async (t) => {
  const { api, find, vacate, forgotten } = openCluster()
  const request = { isCancelled: false, reEncode: false, isLost: false }
  const [five, six] = [idOf(5), idOf(6)]
  t.match(await api.nodes.remove(five), { kind: 'refused' })
  t.match(await api.nodes.remove('ffffffffffffffff'), { kind: 'refused', sentence: /no node/ })
  const lost = { ...request, isLost: true }
  t.match(await api.nodes.drain({ ...lost, nodeId: five }), {
    kind: 'refused',
    sentence: /answers/,
  })
  t.match(await api.nodes.drain({ ...request, nodeId: five }), { kind: 'done' })
  t.match(find(5), { state: 'draining', isLeaving: true })
  const cancelled = { ...request, nodeId: five, isCancelled: true }
  t.match(await api.nodes.drain(cancelled), { kind: 'done' })
  t.match(find(5), { state: 'active' })
  t.match(await api.nodes.drain({ ...lost, nodeId: six }), { kind: 'done' })
  t.match(find(6), { state: 'out', reason: LOST_REASON, isLeaving: true })
  await vacate(6)
  t.match(await api.nodes.remove(six), { kind: 'done' })
  t.same(forgotten, [six])
  t.equal(find(6), undefined)
})

t.test('a node that dies while it is emptied can be given up', async (t) => {
  const { api, find, world, coordinator } = openCluster()
  const request = { nodeId: idOf(5), isCancelled: false, reEncode: false, isLost: false }
  t.match(await api.nodes.drain(request), { kind: 'done' })
  world.away.push(idOf(5))
  const lost = { ...request, isLost: true }
  t.match(await api.nodes.drain(lost), { kind: 'done', sentence: /is given up/ })
  t.match(find(5), { state: 'out', reason: LOST_REASON, isLeaving: true })
  const { epoch } = coordinator.state
  t.match(await api.nodes.drain(lost), { kind: 'done' })
  t.equal(coordinator.state.epoch, epoch, 'and once is enough')
})

t.test('a node that was given up by mistake comes back when it answers', async (t) => {
  const { api, find, coordinator } = openCluster()
  const request = { nodeId: idOf(6), isCancelled: false, reEncode: false, isLost: true }
  t.match(await api.nodes.drain(request), { kind: 'done' })
  await coordinator.decide(markOut(5, 'it hangs'))
  t.same(
    drivesToTakeBack(coordinator.state.map, () => true),
    [],
    'not by itself',
  )
  const cancelled = { ...request, isCancelled: true, isLost: false }
  const sentence = /stays, and gets its share of the data again, once it answers/
  t.match(await api.nodes.drain(cancelled), { kind: 'done', sentence })
  t.match(find(6), { state: 'out', reason: SILENT_REASON, isLeaving: undefined })
  t.same(
    drivesToTakeBack(coordinator.state.map, () => true),
    [6],
  )

  t.match(await api.nodes.drain(request), { kind: 'done' }, 'its drives are out already')
  t.match(await api.drain({ driveId: 6, isCancelled: true, reEncode: false }), { kind: 'done' })
  t.same(
    drivesToTakeBack(coordinator.state.map, () => true),
    [6],
    'drive by drive as well',
  )
})

t.test('what nodes say is shown, and what one does not say is not made up', async (t) => {
  const { api, world } = openCluster()
  await api.drain({ driveId: 5, isCancelled: false, reEncode: false })
  const { drives, moving } = await api.list()
  t.match(drives[0], { path: '/one', freeBytes: 3, totalBytes: 9 })
  t.match(drives[4], { state: 'draining', blobs: 10, oldCopies: 5 })
  t.equal(drives[5]?.freeBytes, undefined)
  t.match(moving, { phase: 'moving', movedShards: 10, remainingShards: 20 })
  t.equal(sumMoves(new Map([[idOf(6), undefined]]), { epoch: 4 }), undefined)
  t.match(await api.add({ path: '/new' }), { kind: 'refused', sentence: /--node/ })
  t.match(await api.add({ path: '/new', nodeId: idOf(1) }), { kind: 'done', sentence: '/new' })
  t.match(await api.replace({ driveId: 2, path: '/b' }), { kind: 'done', sentence: '/b' })
  world.away.push(idOf(3))
  const refused = { kind: 'refused', sentence: /0003 does not answer.*--node/ }
  t.match(await api.replace({ driveId: 3, path: '/b' }), refused)
  t.match(await api.add({ path: '/new', nodeId: idOf(3) }), refused)
  t.match(await api.replace({ driveId: 3, path: '/b', nodeId: idOf(4) }), { kind: 'done' })
})

t.test('of a drive whose node says nothing it is said so', async (t) => {
  const { api } = openCluster()
  const { drives } = await api.list()
  t.same(
    drives.filter(({ isUnheard }) => isUnheard).map(({ id }) => id),
    [6],
  )
})

t.test('of a new drive that is smaller than what it is to get it is said so', async (t) => {
  const { coordinator } = openCluster()
  const { slots, code } = coordinator.state.map
  const references = slots.map((row, partition) => ({
    blob: { part: 1, bytes: 2_000_000, code, partition, drives: row.slice(0, 4) },
  })) as unknown as BlobReference[]
  const scanBlobs = async () => ({ references, after: undefined, more: false })
  const { api } = openCluster({ partitions: [{ scanBlobs }] })
  const replaced = await api.replace({ driveId: 2, path: '/b' })
  const warning = /^drive 7 would get .* and has room for .*: what does not fit waits until/
  t.match(replaced, { kind: 'done', sentence: '/b', warnings: [warning] })
})

t.test(
  'a drain is refused where there is plainly no room, or none for what gateways need',
  async (t) => {
    const { coordinator } = openCluster()
    const { slots, code } = coordinator.state.map
    const references = slots.map((row, partition) => ({
      blob: { part: 1, bytes: 2_000_000, code, partition, drives: row.slice(0, 4) },
    })) as unknown as BlobReference[]
    const scanBlobs = async () => ({ references, after: undefined, more: false })
    const full = openCluster({ partitions: [{ scanBlobs }] })
    const drain = { driveId: 5, isCancelled: false, reEncode: false }
    const sentence =
      /^drive 5 can not be drained: the other drives have no room.* drive 1 would get /
    t.match(await full.api.drain(drain), { kind: 'refused', sentence })
    const node = { nodeId: idOf(5), isCancelled: false, reEncode: false, isLost: false }
    const { nodes } = full.api
    t.match(await nodes.drain(node), {
      kind: 'refused',
      sentence: /^node 0+5 can not be drained: the/,
    })
    t.match(full.find(5), { state: 'active' })
    const lost = { ...node, nodeId: idOf(6), isLost: true }
    t.match(await nodes.drain(lost), { kind: 'done' }, 'it is lost, with room or without')

    const reducedCode = { ...code, dataCount: 5, parityCount: 1 }
    const wide = openCluster({ reducedCode })
    t.match(await wide.api.drain(drain), {
      kind: 'refused',
      sentence: /REDUCED_REDUNDANCY, 5\+1, needs 6/,
    })
    t.match(await wide.api.nodes.drain(node), { kind: 'refused', sentence: /REDUCED_REDUNDANCY/ })
  },
)

t.test('nothing is idle that has not counted by the newest map', async (t) => {
  const moves = { phase: 'idle', movedShards: 0, movedBytes: 0, anewBlobs: 0 } as const
  const told = { epoch: 7, drives: [], leaving: [], counts: [], moves }
  const described = new Map([[idOf(1), told]])
  t.equal(sumMoves(described, { epoch: 7 })?.phase, 'idle')
  t.equal(sumMoves(described, { epoch: 8 })?.phase, 'counting')
})

t.test('a cluster is verified when all who lead have verified all there is', async (t) => {
  const whole = { ...NO_STATUS, complete: true, lastVerifiedMs: 50, endedScrubs: 1 }
  const cluster = { partitions: 4, buckets: {} }
  const one = { ...whole, partitions: [0, 1] }
  const two = { ...whole, partitions: [2, 3], lastVerifiedMs: 40 }
  const idle = { ...NO_STATUS, endedScrubs: 3 }
  const all = new Map([
    ['a', one],
    ['b', two],
    ['c', idle],
  ])
  const found = sumUpkeep(all, cluster)
  t.match(found, { verified: true, lastVerifiedMs: 40, endedScrubs: { a: 1, b: 1, c: 3 } })
  t.equal(found.ended.scrub, 5)
  t.notOk(sumUpkeep(new Map([['a', one]]), cluster).verified, 'one does not answer')
  const owing = { ...two, complete: false }
  t.notOk(
    sumUpkeep(
      new Map([
        ['a', one],
        ['b', owing],
      ]),
      cluster,
    ).verified,
  )
  const { lastVerifiedMs: _, ...never } = two
  t.notOk(
    sumUpkeep(
      new Map([
        ['a', one],
        ['b', never],
      ]),
      cluster,
    ).verified,
  )
})
