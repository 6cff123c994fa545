// A recovery that does not come to its end leaves no replica behind, unless a record may name it.
import t from 'tap'
import { recoverCluster } from '../../../src/cluster/recover-cluster.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import { parseReplicaId } from '../../../src/metadata/replication/replica-id.ts'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import type { ClusterState, Coordinator } from '../../../src/placement/coordinator.ts'
import type { PartitionRecord } from '../../../src/placement/etcd/leadership.ts'
import type { RecordChange } from '../../../src/placement/etcd/partition-records.ts'
import { emptyClusterMap } from '../../../src/placement/first-map.ts'
import type { ReplicaStanding, RowsPage } from '../../../src/storage-node/replicated/contract.ts'

await prepareDigests()

const OLD = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `000000000000000${driveId}` }))
const RECORD: PartitionRecord = { epoch: 5, id: 'r', primary: OLD[0]!, replicas: OLD }

interface Told {
  installed: ReplicaId[]
  discarded: ReplicaId[]
}

/** Carries out a recovery of one partition that lost all its replicas; `look`: how each of them stands, by how often it was asked. */
async function recover(parts: {
  look?: (times: number, driveId: number) => ReplicaStanding
  mode?: 'plan'
  /** The sequence to which the only dump goes, in epoch 7. */
  dump?: number
  change?: () => Promise<RecordChange>
  install?: () => Promise<void>
}): Promise<Told & { isDone: boolean | undefined; way?: string | undefined; error: unknown }> {
  const drives = OLD.map(({ driveId: id }): MapDrive => {
    return { id, uuid: `u${id}`, weight: 1, state: 'active', nodeId: `n${id}` }
  })
  const map = { ...emptyClusterMap('42', { partitionCount: 4, metaPartitionCount: 1 }), drives }
  const state = { clusterId: 'c', epoch: 1, map, metaPartitions: [], buckets: {} } as unknown
  const coordinator = { state: state as ClusterState, decide: async () => state }
  const told: Told = { installed: [], discarded: [] }
  const asked = new Map<ReplicaId, number>()
  const standing = (id: ReplicaId): ReplicaStanding => {
    if (told.installed.includes(id)) return { kind: 'lives', end: { epoch: 9, sequence: 9 } }
    const times = (asked.get(id) ?? 0) + 1
    asked.set(id, times)
    return parts.look?.(times, parseReplicaId(id)!.driveId) ?? { kind: 'gone' }
  }
  const changed: RecordChange = { kind: 'changed', record: RECORD }
  const recovery = {
    standings: async (_node: string, _partition: number, ids: readonly ReplicaId[]) =>
      ids.map(standing),
    dumps: async (node: string) => (parts.dump !== undefined && node === 'n2' ? [4711] : []),
    readDump: async function* (): AsyncGenerator<RowsPage> {
      yield { position: { epoch: 7, sequence: parts.dump! }, rows: [] }
    },
    readReplica: async function* () {},
    shards: async function* () {},
    install: async (_node: string, { replica }: { replica: ReplicaId }) => {
      told.installed.push(replica)
      await parts.install?.()
    },
    discard: async (node: string, replica: ReplicaId) => {
      t.equal(node, `n${parseReplicaId(replica)!.driveId}`)
      told.discarded.push(replica)
    },
  }
  const outcome = await recoverCluster(
    { mode: parts.mode ?? 'recover', withoutMissing: false },
    {
      ...{ world: realWorld(), log: silentLog, recovery },
      coordinator: coordinator as unknown as Coordinator,
      records: { get: () => RECORD, change: parts.change ?? (async () => changed) },
    },
  ).catch((error: unknown) => error)
  if (outcome instanceof Error) return { ...told, isDone: undefined, error: outcome }
  const { partitions } = outcome as Awaited<ReturnType<typeof recoverCluster>>
  return { ...told, isDone: partitions[0]?.isDone, way: partitions[0]?.way, error: undefined }
}

t.test('the record names the new replica', async (t) => {
  const { isDone, installed, discarded, error } = await recover({})
  t.equal(error, undefined)
  t.equal(isDone, true)
  t.equal(installed.length, 1)
  t.same(discarded, [])
})

t.test('somebody else changed the record', async (t) => {
  const change = async (): Promise<RecordChange> => ({ kind: 'lost', found: undefined })
  const { isDone, installed, discarded } = await recover({ change })
  t.equal(isDone, false)
  t.same(discarded, installed)
})

t.test('the others are back when it is looked again', async (t) => {
  const look = (times: number): ReplicaStanding =>
    times === 1 ? { kind: 'gone' } : { kind: 'lives', end: { epoch: 5, sequence: 3 } }
  const { isDone, installed, discarded } = await recover({ look })
  t.equal(isDone, false)
  t.equal(installed.length, 1)
  t.same(discarded, installed)
})

t.test('it can not be looked again', async (t) => {
  const look = (times: number): ReplicaStanding => {
    if (times > 1) throw new Error('it fails')
    return { kind: 'gone' }
  }
  const { error, installed, discarded } = await recover({ look })
  t.match(error, { message: 'it fails' })
  t.equal(installed.length, 1)
  t.same(discarded, installed)
})

t.test('nobody knows whether the record was changed', async (t) => {
  const change = async (): Promise<RecordChange> => {
    throw new Error('etcd went away')
  }
  const { error, installed, discarded } = await recover({ change })
  t.match(error, { message: 'etcd went away' })
  t.equal(installed.length, 1)
  t.same(discarded, [], 'it may be the one that counts')
})

t.test('a replica that lives goes before dumps that have less', async (t) => {
  const wayOf = async (sequence: number, dump?: number): Promise<string | undefined> => {
    const look = (_times: number, driveId: number): ReplicaStanding =>
      driveId === 3 ? { kind: 'lives', end: { epoch: 7, sequence } } : { kind: 'gone' }
    const { way } = await recover({ mode: 'plan', look, ...(dump === undefined ? {} : { dump }) })
    return way
  }
  t.equal(await wayOf(20, 19), 'survivor')
  t.equal(await wayOf(20, 20), 'survivor')
  t.equal(await wayOf(20, 21), 'rebuild', 'it was away for long')
  t.equal(await wayOf(20), 'survivor')
  t.equal(await wayOf(0), 'rebuild', 'it has nothing')
})

t.test('no drive takes it', async (t) => {
  const install = async (): Promise<void> => {
    throw new Error('no room')
  }
  const { error, installed, discarded } = await recover({ install })
  t.match(error, { exitCode: 1, message: /no room/ })
  t.ok(installed.length > 0)
  t.same(discarded, installed, 'the answer may have been lost')
})
