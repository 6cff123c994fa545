// A recovery that does not come to its end leaves no replica behind, unless a record may name it.
import t from 'tap'
import { type ClusterRecoverOutcome, recoverCluster } from '../../../src/cluster/recover-cluster.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import { parseReplicaId } from '../../../src/metadata/replication/replica-id.ts'
import type { MapDrive } from '../../../src/placement/cluster-map.ts'
import type { ClusterState, Coordinator } from '../../../src/placement/coordinator.ts'
import type { PartitionRecord } from '../../../src/placement/etcd/leadership.ts'
import type {
  PartitionRecords,
  RecordChange,
} from '../../../src/placement/etcd/partition-records.ts'
import { emptyClusterMap } from '../../../src/placement/first-map.ts'
import type { ReplicaStanding, RowsPage } from '../../../src/storage-node/replicated/contract.ts'
import { NodeFailed, NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'

await prepareDigests()

const OLD = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `000000000000000${driveId}` }))
const RECORD: PartitionRecord = { epoch: 5, id: 'r', primary: OLD[0]!, replicas: OLD }

interface Told {
  installed: ReplicaId[]
  discarded: ReplicaId[]
  /** Replicas that were told, and the epoch. */
  fenced: [number, number][]
  record: PartitionRecord
}

/** Carries out a recovery of one partition that lost all its replicas; `look`: how each of them stands, by how often it was asked. */
async function recover(parts: {
  look?: (times: number, driveId: number) => ReplicaStanding
  mode?: 'plan'
  /** The sequence to which the only dump goes, in epoch 7. */
  dump?: number
  /** Called before a replica is read, or the dump, with the time that passed. */
  readReplica?: (passedMs: number) => void
  readDump?: (passedMs: number) => void
  /** Whether the node of the dump has it, by the time that passed. */
  hasDump?: (passedMs: number) => boolean
  /** What becomes of the changes of the record, in their order: of the fence first. */
  change?: (times: number, installed: readonly ReplicaId[]) => Promise<RecordChange>
  /** Called before replicas are told of the fence. */
  fence?: (driveId: number) => void
  /** Drives that are given up. */
  without?: number[]
  /** Drives that are not open on their nodes, by how often those were asked. */
  closed?: (times: number) => number[]
  /** Nodes that do not answer. */
  away?: string[]
  install?: () => Promise<void>
}): Promise<
  Told & {
    isDone: boolean | undefined
    way?: string | undefined
    dumpMs?: number | undefined
    error: unknown
    missing?: number[]
  }
> {
  const drives = OLD.map(({ driveId: id }): MapDrive => {
    return { id, uuid: `u${id}`, weight: 1, state: 'active', nodeId: `n${id}` }
  })
  const map = { ...emptyClusterMap('42', { partitionCount: 4, metaPartitionCount: 1 }), drives }
  const state = { clusterId: 'c', epoch: 1, map, metaPartitions: [], buckets: {} } as unknown
  const coordinator = { state: state as ClusterState, decide: async () => state }
  const told: Told = { installed: [], discarded: [], fenced: [], record: RECORD }
  const asked = new Map<ReplicaId, number>()
  const standing = (id: ReplicaId): ReplicaStanding => {
    if (told.installed.includes(id)) return { kind: 'lives', end: { epoch: 9, sequence: 9 } }
    const times = (asked.get(id) ?? 0) + 1
    asked.set(id, times)
    return parts.look?.(times, parseReplicaId(id)!.driveId) ?? { kind: 'gone' }
  }
  let changes = 0
  let looks = 0
  let passedMs = 0
  const clock = {
    ...realWorld().clock,
    monotonicMs: () => passedMs,
    sleep: async (ms: number) => {
      passedMs += ms
    },
  }
  const change: PartitionRecords['change'] = async (_partition, make) => {
    changes += 1
    if (parts.change) return await parts.change(changes, told.installed)
    const next = make(told.record)
    if (next === undefined) return { kind: 'unchanged', found: told.record }
    told.record = { ...next, id: `${changes}` }
    return { kind: 'changed', record: told.record }
  }
  const recovery = {
    standings: async (node: string, _partition: number, ids: readonly ReplicaId[]) => {
      if (parts.away?.includes(node)) throw new NodeUnreachable('it is away', 'not-sent')
      return ids.map(standing)
    },
    fence: async (node: string, { epoch }: { epoch: number }, ids: readonly ReplicaId[]) => {
      if (parts.away?.includes(node)) throw new NodeUnreachable('it is away', 'not-sent')
      for (const id of ids) {
        const { driveId } = parseReplicaId(id)!
        parts.fence?.(driveId)
        told.fenced.push([driveId, epoch])
      }
      return ids.map(standing)
    },
    drives: async (node: string) => {
      if (parts.away?.includes(node)) throw new NodeUnreachable('it is away', 'not-sent')
      if (node === 'n1') looks += 1
      const id = Number(node.slice(1))
      return parts.closed?.(looks).includes(id) ? [] : [id]
    },
    dumps: async (node: string) => {
      const isThere = parts.dump !== undefined && node === 'n2'
      return isThere && (parts.hasDump?.(passedMs) ?? true) ? [4711] : []
    },
    readDump: async function* (): AsyncGenerator<RowsPage> {
      parts.readDump?.(passedMs)
      yield { position: { epoch: 7, sequence: parts.dump! }, rows: [] }
    },
    readReplica: async function* () {
      parts.readReplica?.(passedMs)
      yield { position: { epoch: 7, sequence: 20 }, changes: [] }
    },
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
    { mode: parts.mode ?? 'recover', withoutMissing: parts.without ?? [] },
    {
      ...{ world: { ...realWorld(), clock }, log: silentLog, recovery },
      coordinator: coordinator as unknown as Coordinator,
      records: { get: () => told.record, change },
    },
  ).catch((error: unknown) => error)
  if (outcome instanceof Error) return { ...told, isDone: undefined, error: outcome }
  const { partitions, missing } = outcome as ClusterRecoverOutcome
  const { isDone, way, dumpMs } = partitions[0] ?? {}
  return {
    ...told,
    isDone,
    way,
    dumpMs,
    error: undefined,
    missing: missing.map(({ driveId }) => driveId),
  }
}

t.test('the record names the new replica', async (t) => {
  const { isDone, installed, discarded, error, fenced, record } = await recover({})
  t.equal(error, undefined)
  t.same(fenced, [
    [1, 6],
    [2, 6],
    [3, 6],
  ])
  t.match(record, { epoch: 7, restoredFrom: 6, replicas: [parseReplicaId(installed[0]!)!] })
  t.notOk(record.isFenced)
  t.equal(isDone, true)
  t.equal(installed.length, 1)
  t.same(discarded, [])
})

t.test('somebody else changed the record', async (t) => {
  const lost: RecordChange = { kind: 'lost', found: undefined }
  const first = await recover({ change: async () => lost })
  t.equal(first.isDone, false)
  t.same([first.installed, first.fenced], [[], []], 'before it was fenced')
  const fenced = { ...RECORD, epoch: 6, id: 'f' }
  const { isDone, installed, discarded } = await recover({
    change: async (times) => (times === 1 ? { kind: 'changed', record: fenced } : lost),
  })
  t.equal(isDone, false)
  t.equal(installed.length, 1)
  t.same(discarded, installed)
})

t.test('the answer to the change of the record is lost, and it goes on already', async (t) => {
  const fenced = { ...RECORD, epoch: 6, id: 'f' }
  const foundWith = async (
    installed: readonly ReplicaId[],
    set: 'replicas' | 'previous',
  ): Promise<RecordChange> => {
    const own = parseReplicaId(installed[0]!)!
    const others = { replicas: [OLD[0]!], previous: [OLD[0]!] }
    const found = { ...fenced, ...others, epoch: 8, id: 'led', primary: own, [set]: [own] }
    return { kind: 'lost', found }
  }
  for (const set of ['replicas', 'previous'] as const) {
    const { isDone, installed, discarded } = await recover({
      change: async (times, made) =>
        times === 1 ? { kind: 'changed', record: fenced } : await foundWith(made, set),
    })
    t.equal(isDone, true, set)
    t.same([installed.length, discarded], [1, []], 'and is not deleted')
  }
})

t.test('what the record names is not deleted, nor where nobody can read it', async (t) => {
  const fenced = { ...RECORD, epoch: 6, id: 'f' }
  const look = (times: number): ReplicaStanding => {
    if (times > 2) throw new Error('it fails')
    return { kind: 'gone' }
  }
  const named = await recover({
    look,
    change: async (times, made) => {
      if (times === 1) return { kind: 'changed', record: fenced }
      return { kind: 'unchanged', found: { ...fenced, replicas: [parseReplicaId(made[0]!)!] } }
    },
  })
  t.same([named.installed.length, named.discarded], [1, []])
  const away = await recover({
    look,
    change: async (times) => {
      if (times === 1) return { kind: 'changed', record: fenced }
      throw new Error('etcd went away')
    },
  })
  t.match(away.error, { message: 'it fails' })
  t.same([away.installed.length, away.discarded], [1, []])
})

t.test('the others are back when it is looked again', async (t) => {
  const look = (times: number): ReplicaStanding =>
    times <= 2 ? { kind: 'gone' } : { kind: 'lives', end: { epoch: 5, sequence: 3 } }
  const { isDone, installed, discarded } = await recover({ look })
  t.equal(isDone, false)
  t.equal(installed.length, 1)
  t.same(discarded, installed)
})

t.test('it can not be looked again', async (t) => {
  const look = (times: number): ReplicaStanding => {
    if (times > 2) throw new Error('it fails')
    return { kind: 'gone' }
  }
  const { error, installed, discarded } = await recover({ look })
  t.match(error, { message: 'it fails' })
  t.equal(installed.length, 1)
  t.same(discarded, installed)
})

t.test('nobody knows whether the record was changed', async (t) => {
  const fenced = { ...RECORD, epoch: 6, id: 'f' }
  const change = async (times: number): Promise<RecordChange> => {
    if (times === 1) return { kind: 'changed', record: fenced }
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

t.test('the others are back once they were told of the fence', async (t) => {
  const look = (times: number): ReplicaStanding =>
    times === 1 ? { kind: 'gone' } : { kind: 'lives', end: { epoch: 5, sequence: 3 } }
  const { way, isDone, installed, record } = await recover({ look })
  t.equal(way, 'returned')
  t.equal(isDone, undefined)
  t.same(installed, [])
  t.match(record, { epoch: 6, isFenced: true, replicas: OLD }, 'they take the lead by themselves')
})

t.test('one that lives can not be told of the fence', async (t) => {
  const look = (times: number, driveId: number): ReplicaStanding => {
    if (driveId !== 3) return { kind: 'gone' }
    return times === 1 ? { kind: 'lives', end: { epoch: 5, sequence: 3 } } : { kind: 'closed' }
  }
  const { way, installed } = await recover({ look })
  t.equal(way, 'waits', 'it may be led on')
  t.same(installed, [])
})

t.test('a drive that can not be read is waited for, unless it is named', async (t) => {
  const closed = () => [2]
  const waits = await recover({ closed })
  t.match(waits, { way: 'waits', missing: [2], fenced: [], installed: [] })
  t.match(await recover({ closed, mode: 'plan' }), { way: 'waits', missing: [2] })
  t.match(await recover({ closed, without: [2] }), { isDone: true, missing: [] })
  const away = ['n1', 'n2']
  t.match(await recover({ away, without: [1] }), { way: 'waits', missing: [2], fenced: [] })
  t.match(await recover({ away, without: [1, 2] }), { isDone: true, fenced: [[3, 6]] })
  const other = await recover({ closed, without: [2, 3] })
  t.match(other.error, { exitCode: 2, message: /drive 3 can be read/ })
  t.match((await recover({ without: [9] })).error, { exitCode: 2, message: /no drive 9/ })
})

t.test('a drive goes away while it is read', async (t) => {
  const closed = (times: number) => (times === 1 ? [] : [3])
  const { error, installed } = await recover({ closed })
  t.match(error, { exitCode: 4, message: /drive 3 of node n3/ })
  t.same(installed, [])
})

/** The only one that lives, as its node says by the time that passed; it goes further than the dump. */
function survivor(later: ReplicaStanding['kind'] = 'lives'): {
  dump: number
  look: (times: number, driveId: number) => ReplicaStanding
} {
  const lives: ReplicaStanding = { kind: 'lives', end: { epoch: 7, sequence: 20 } }
  return {
    dump: 19,
    look: (times, driveId) => {
      if (driveId !== 3) return { kind: 'gone' }
      return times <= 2 || later === 'lives' ? lives : ({ kind: later } as ReplicaStanding)
    },
  }
}

const failing = (): never => {
  throw new NodeFailed('it failed')
}

t.test('a replica that can not be read for a moment is read again', async (t) => {
  const readReplica = (passedMs: number): void => {
    if (passedMs < 30_000) failing()
  }
  t.match(await recover({ ...survivor(), readReplica }), { way: 'survivor', isDone: true })
})

t.test('a replica of which nobody knows is waited for, and no older dump is taken', async (t) => {
  for (const later of ['lives', 'closed'] as const) {
    const found = await recover({ ...survivor(later), readReplica: failing })
    t.match(found, { way: 'waits', installed: [], error: undefined }, later)
  }
})

t.test('a replica that is not to be had any more, by the word of its node', async (t) => {
  for (const later of ['gone', 'damaged', 'suspect'] as const)
    t.match(await recover({ ...survivor(later), readReplica: failing }), { way: 'rebuild' }, later)
})

t.test('a dump that can not be read', async (t) => {
  const later = await recover({
    dump: 5,
    readDump: (passedMs) => {
      if (passedMs < 15_000) failing()
    },
  })
  t.match(later, { way: 'rebuild', dumpMs: 4711, isDone: true }, 'for a moment')
  const never = await recover({ dump: 5, readDump: failing })
  t.match(never, { way: 'rebuild', isDone: true })
  t.equal(never.dumpMs, undefined, 'it is damaged')
  const hasDump = (passedMs: number): boolean => passedMs === 0
  const away = await recover({ dump: 5, readDump: failing, hasDump })
  t.match(away, { way: 'waits', installed: [] }, 'its drive is not open')
})
