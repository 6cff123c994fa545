// A recovery that does not come to its end leaves no replica behind, unless a record may name it.
import t from 'tap'
import { showClusterRecovery } from '../../../src/cli/recover-cluster.ts'
import { type ClusterRecoverOutcome, recoverCluster } from '../../../src/cluster/recover-cluster.ts'
import type { Replay } from '../../../src/cluster/replica-logs.ts'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { RowBatch } from '../../../src/metadata/log/contract.ts'
import { encodeBatch, type LogEntry } from '../../../src/metadata/log/entry.ts'
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
import type {
  LeftLogPage,
  ReplicaStanding,
  RowsPage,
} from '../../../src/storage-node/replicated/contract.ts'
import { NodeFailed, NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'

await prepareDigests()

const OLD = [1, 2, 3].map((driveId) => ({ driveId, incarnation: `000000000000000${driveId}` }))
const RECORD: PartitionRecord = { epoch: 5, id: 'r', primary: OLD[0]!, replicas: OLD }

interface Told {
  /** What the new replica has. */
  rows: Record<string, string>
  installed: ReplicaId[]
  discarded: ReplicaId[]
  /** Replicas that were told, and the epoch. */
  fenced: [number, number][]
  record: PartitionRecord
}

/** Of a kind that nobody looks into. */
const ROW_KIND = 12

const keyOf = (name: string): Uint8Array => Buffer.concat([Buffer.of(ROW_KIND), Buffer.from(name)])

function changesOf(rows: Record<string, string>): { key: Uint8Array; value: Uint8Array }[] {
  return Object.entries(rows).map(([name, value]) => {
    return { key: keyOf(name), value: Buffer.from(value) }
  })
}

function note({ key, value }: { key: Uint8Array; value: Uint8Array }, { rows }: Told): void {
  if (key[0] !== ROW_KIND) return
  rows[Buffer.from(key.subarray(1)).toString()] = Buffer.from(value).toString()
}

/** Carries out a recovery of one partition that lost all its replicas; `look`: how each of them stands, by how often it was asked. */
async function recover(parts: {
  look?: (times: number, driveId: number) => ReplicaStanding
  mode?: 'plan'
  /** The sequence to which the only dump goes, in epoch 7. */
  dump?: number
  /** What there is of rows, in replica and dump: names and values. */
  rows?: Record<string, string>
  /** Called before a replica is read, or the dump, with the time that passed. */
  readReplica?: (passedMs: number) => void
  readDump?: (passedMs: number) => void
  /** What is left of the log of a replica; called when it is read, with the time that passed. */
  readLog?: (driveId: number, passedMs: number) => LeftLogPage[]
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
  /** Called before shards are read. */
  readShards?: () => void
  /** Nodes that do not answer. */
  away?: string[]
  install?: () => Promise<void>
}): Promise<
  Told & {
    isDone: boolean | undefined
    way?: string | undefined
    dumpMs?: number | undefined
    replay?: Replay | undefined
    /** What people are told. */
    said?: string
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
  const told: Told = { rows: {}, installed: [], discarded: [], fenced: [], record: RECORD }
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
      yield { position: { epoch: 7, sequence: parts.dump! }, rows: changesOf(parts.rows ?? {}) }
    },
    readReplica: async function* () {
      parts.readReplica?.(passedMs)
      yield { position: { epoch: 7, sequence: 20 }, rows: changesOf(parts.rows ?? {}) }
    },
    readLog: async function* (node: string): AsyncGenerator<LeftLogPage> {
      const pages = parts.readLog?.(Number(node.slice(1)), passedMs) ?? []
      yield* pages.length > 0 ? pages : [{ isWhole: true, entries: [] }]
    },
    shards: async function* () {
      parts.readShards?.()
      yield []
    },
    install: async (
      _node: string,
      { replica }: { replica: ReplicaId },
      pages: Iterable<RowsPage>,
    ) => {
      told.installed.push(replica)
      for (const page of pages) for (const row of page.rows) note(row, told)
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
  const { isDone, way, dumpMs, replay } = partitions[0] ?? {}
  return {
    ...told,
    isDone,
    way,
    dumpMs,
    replay,
    said: showClusterRecovery(outcome as ClusterRecoverOutcome).join('\n'),
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

/** Entries of one epoch from `first` on, each with what it changes; a name without a value is deleted. */
function entries(
  { epoch, first, before = epoch, committed }: Numbered,
  changes: readonly Record<string, string | undefined>[],
): LogEntry[] {
  return changes.map((rows, at): LogEntry => {
    const sequence = first + at
    const batch = Object.entries(rows).map(([name, value]) => {
      return { key: keyOf(name), value: value === undefined ? undefined : Buffer.from(value) }
    })
    return {
      ...{ epoch, sequence, prevEpoch: at === 0 ? before : epoch },
      // A client is answered in an epoch once its first entry is committed.
      committed: committed ?? (at === 0 ? 0 : sequence - 1),
      batch: encodeBatch(batch as RowBatch),
    }
  })
}

interface Numbered {
  epoch: number
  first: number
  /** Epoch of the entry before the first. */
  before?: number
  committed?: number
}

const whole = (...all: LogEntry[][]): LeftLogPage[] => [{ isWhole: true, entries: all.flat() }]

/** The third one lives, with rows up to 20 and what is behind them in its log; the second one is damaged. */
function twoLeft(
  second: LeftLogPage[] | (() => LeftLogPage[]),
  third: LeftLogPage[] = [],
): Parameters<typeof recover>[0] {
  return {
    rows: { a: 'old', b: 'deleted since', c: 'kept' },
    look: (_times, driveId) => {
      if (driveId === 3) return { kind: 'lives', end: { epoch: 7, sequence: 22 } }
      return { kind: driveId === 2 ? 'damaged' : 'gone' }
    },
    readLog: (driveId) => {
      if (driveId === 2) return typeof second === 'function' ? second() : second
      return driveId === 3 ? third : []
    },
  }
}

/** Of these nobody knows whether they were committed. */
const OWN = entries({ epoch: 7, first: 21, committed: 20 }, [{}, { a: 'in its own log' }])

t.test('what only a damaged replica has in its log is there again', async (t) => {
  const later = entries({ epoch: 7, first: 23 }, [{ a: 'new' }, { b: undefined }, { d: 'empty' }])
  const found = await recover(twoLeft(whole(OWN, later), whole(OWN)))
  t.match(found, { way: 'survivor', isDone: true })
  t.same(found.rows, { a: 'new', c: 'kept', d: 'empty' }, 'and what was deleted is not')
  const uses = [{ replica: '2-0000000000000002', gained: 3, unused: 0, isWhole: true }]
  t.same(found.replay, { replayed: 5, end: 25, logs: uses })
  t.match(found.said, /5 entries of logs behind the rows, up to 25/)
  t.match(found.said, /the log of drive 2 has 3 of them, which no replica has that lives/)
  t.notMatch(found.said, /lost something|not used/)
  const plan = await recover({ ...twoLeft(whole(OWN, later), whole(OWN)), mode: 'plan' })
  t.match(plan, { way: 'survivor', replay: { replayed: 5 }, installed: [] })
})

t.test('without what others have it goes on with its own log', async (t) => {
  const found = await recover(twoLeft([], whole(OWN)))
  t.same(found.rows, { a: 'in its own log', b: 'deleted since', c: 'kept' })
  t.same(found.replay, { replayed: 2, end: 22, logs: [] })
})

t.test('what a later primary replaced is not applied, whoever has it', async (t) => {
  const later = entries({ epoch: 8, first: 21, before: 7 }, [{}, { a: 'acknowledged' }])
  for (const [second, third] of [
    [later, OWN],
    [OWN, later],
  ] as const) {
    const found = await recover(twoLeft(whole(second), whole(third)))
    t.match(found.rows, { a: 'acknowledged' })
    t.match(found.replay, { replayed: 2, end: 22 })
  }
  const longer = entries({ epoch: 7, first: 23, committed: 20 }, [{ d: 'never done' }])
  const found = await recover(twoLeft(whole(OWN, longer), whole(later)))
  t.equal(found.rows.d, undefined)
  t.match(found.replay, { end: 22, logs: [{ gained: 0, unused: 1 }] })
  t.match(found.said, /the log of drive 2 has 1 entry beyond that, not used/)
})

t.test('a dump, and the log of a replica of which nothing else is left', async (t) => {
  const all = entries({ epoch: 7, first: 3 }, [
    { a: '3' },
    { a: '4' },
    { b: undefined },
    { a: '6' },
  ])
  const look = (): ReplicaStanding => ({ kind: 'damaged' })
  const from = { dump: 4, rows: { a: 'dumped', b: 'dumped' }, look }
  const found = await recover({ ...from, readLog: (id) => (id === 1 ? whole(all) : []) })
  t.match(found, { way: 'rebuild', dumpMs: 4711, isDone: true })
  t.same(found.rows, { a: '6' })
  t.match(found.replay, { replayed: 2, end: 6, logs: [{ gained: 2 }] })
  // Each of two has lost what the other one has.
  const [one, other] = [all.slice(0, 3), all.slice(3)]
  const torn = (part: LogEntry[]): LeftLogPage[] => [{ isWhole: false, entries: part }]
  const both = await recover({ ...from, readLog: (id) => torn(id === 1 ? one : other) })
  t.same(both.rows, { a: '6' })
  t.match(both.said, /the log of drive 1 lost something, or can not be read/)
})

t.test('a log to which nothing leads any more', async (t) => {
  const late = entries({ epoch: 7, first: 30 }, [{ a: 'x' }, { b: undefined }, { a: 'y' }])
  const found = await recover(twoLeft(whole(late), whole(OWN)))
  t.same(found.rows, { a: 'in its own log', b: 'deleted since', c: 'kept' })
  const logs = [{ gained: 0, unused: 3, isWhole: true }]
  t.match(found.replay, { replayed: 2, end: 22, acknowledgedEnd: 31, logs })
  t.match(found.said, /acknowledged up to 31, by what logs say: what is behind 22 is in none/)
})

t.test('logs that go back to the first entry need no rows', async (t) => {
  const look = (): ReplicaStanding => ({ kind: 'damaged' })
  const all = entries({ epoch: 7, first: 1, before: 0 }, [{}, { a: '1' }, { b: '2' }])
  const found = await recover({ look, readLog: (id) => (id === 2 ? whole(all) : []) })
  t.match(found, { way: 'rebuild', dumpMs: undefined, replay: { replayed: 3, end: 3 } })
  t.same(found.rows, { a: '1', b: '2' })
})

t.test('a log that can not be read', async (t) => {
  const damaged = await recover(twoLeft(failing, whole(OWN)))
  t.match(damaged, { way: 'survivor', isDone: true, rows: { a: 'in its own log' } })
  t.match(damaged.said, /the log of drive 2 lost something, or can not be read/)
  const parts = twoLeft(whole(OWN))
  const own = (id: number): LeftLogPage[] => (id === 3 ? failing() : [])
  const lives = await recover({ ...parts, readLog: own })
  t.match(
    lives,
    { way: 'waits', installed: [], error: undefined },
    'one that lives has it for sure',
  )
  const later = (id: number, passedMs: number): LeftLogPage[] =>
    passedMs < 15_000 ? failing() : id === 3 ? whole(OWN) : []
  t.match(await recover({ ...parts, readLog: later }), { isDone: true, replay: { replayed: 2 } })
})

t.test('one whose rows are not trusted has its log, and none of its rows is taken', async (t) => {
  const log = whole(OWN, entries({ epoch: 7, first: 23 }, [{ a: 'new' }]))
  const look = (_times: number, driveId: number): ReplicaStanding => {
    return { kind: driveId === 2 ? 'suspect' : 'gone' }
  }
  const found = await recover({ ...twoLeft(log), look, dump: 22 })
  t.match(found, { way: 'rebuild', rows: { a: 'new' }, replay: { replayed: 1, end: 23 } })
})

t.test('a drive fails while its shards are read', async (t) => {
  let reads = 0
  const readShards = (): void => {
    reads += 1
    throw new NodeFailed('it could not be read')
  }
  const { error, installed } = await recover({ readShards, closed: () => (reads > 0 ? [2] : []) })
  t.match(error, { exitCode: 4, message: /went away while they were read:\n.*drive 2/ })
  t.same(installed, [], 'nothing is made without it')
  const other = await recover({ readShards })
  t.match(other.error, { name: 'NodeFailed' }, 'where all are there it is another trouble')
})
