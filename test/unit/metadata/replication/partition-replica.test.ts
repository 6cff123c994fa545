// One replica, told by hand what happens: what it says, and what it waits for before it says it.
import t from 'tap'
import {
  type Decision,
  type ReplicaId,
  reignEpoch,
} from '../../../../src/metadata/replication/decision.ts'
import {
  type DurableState,
  type Effect,
  NEW_REPLICA,
  USUAL_LIMITS,
} from '../../../../src/metadata/replication/effects.ts'
import type { Message } from '../../../../src/metadata/replication/message.ts'
import { PartitionReplica } from '../../../../src/metadata/replication/partition-replica.ts'

const [a, b, c] = ['a', 'b', 'c'] as [ReplicaId, ReplicaId, ReplicaId]
const decision: Decision = { epoch: 1, primary: a, replicas: [a, b, c], previous: undefined }
const first = reignEpoch(1, 0)
const BEGINNING = { epoch: 0, sequence: 0 }
const batch = Buffer.from('x')

function open(self: ReplicaId, state: DurableState = NEW_REPLICA): PartitionReplica {
  return new PartitionReplica({ self, limits: USUAL_LIMITS, state }, { below: () => 0 })
}

/** Takes effects, lets all writes become durable, and says what came of it. */
function settle(replica: PartitionReplica): Effect[] {
  const all: Effect[] = []
  for (let effects = replica.take(); effects.length > 0; effects = replica.take()) {
    all.push(...effects)
    for (const effect of effects) if (effect.kind === 'write') replica.durable(effect.number)
  }
  return all
}

function sentBy(effects: readonly Effect[], to?: ReplicaId): Message[] {
  return effects.flatMap((effect) =>
    effect.kind === 'send' && (to === undefined || effect.to === to) ? [effect.message] : [],
  )
}

/** The primary, serving: b answered, c is silent. */
function serving(): PartitionReplica {
  const primary = open(a)
  primary.observe(decision)
  settle(primary)
  primary.receive(b, { kind: 'fenced', epoch: first, last: BEGINNING })
  settle(primary)
  primary.receive(b, { kind: 'appended', epoch: first, matched: 1 })
  settle(primary)
  t.equal(primary.isServing, true)
  return primary
}

t.test('nothing is said in an epoch before its promise is durable', async (t) => {
  const primary = open(a)
  primary.observe(decision)
  const effects = primary.take()
  t.same(sentBy(effects), [])
  const writes = effects.flatMap((effect) => (effect.kind === 'write' ? effect.changes : []))
  t.same(writes, [
    { kind: 'decision', decision },
    { kind: 'promise', epoch: first, to: a },
  ])
  t.same(sentBy(settle(primary)), [])
  primary.durable(2)
  t.same(sentBy(primary.take(), b), [{ kind: 'fence', epoch: first }])
})

t.test('a primary that begins again has another epoch', async (t) => {
  const again = open(a, { ...NEW_REPLICA, promised: first, decision })
  t.equal(again.reign, first + 1)
  const deposed = open(a, { ...NEW_REPLICA, promised: reignEpoch(2, 0), decision })
  t.equal(deposed.reign, undefined, 'somebody newer was promised')
})

t.test('of two primaries that got one epoch a replica follows the first', async (t) => {
  const replica = open(b)
  const fence = { kind: 'fence', epoch: first } as const
  const fenced = [{ kind: 'fenced', epoch: first, last: BEGINNING }]
  const refused = [{ kind: 'refused', epoch: first, promised: first }]
  replica.receive(a, fence)
  t.same(sentBy(settle(replica), a), fenced)
  replica.receive(c, fence)
  t.same(sentBy(settle(replica), c), refused)
  replica.receive(a, fence)
  t.same(sentBy(settle(replica), a), fenced)

  const kept = open(b, { ...NEW_REPLICA, promised: first, promisedTo: a })
  kept.receive(c, fence)
  t.same(sentBy(settle(kept), c), refused, 'also after a restart')
  const older = open(b, { ...NEW_REPLICA, promised: first })
  older.receive(c, fence)
  t.same(sentBy(settle(older), c), fenced, 'where it was not kept to whom')
  older.receive(a, fence)
  t.same(sentBy(settle(older), a), refused)

  const given = open(b)
  given.fence(1)
  settle(given)
  given.receive(a, fence)
  t.same(sentBy(settle(given), a), refused, 'a fence is for nobody')
})

t.test('who is refused in its epoch for another one begins the next', async (t) => {
  const primary = open(a)
  primary.observe(decision)
  settle(primary)
  primary.receive(b, { kind: 'refused', epoch: first, promised: first })
  t.equal(primary.reign, first + 1)
  t.same(sentBy(settle(primary), b), [{ kind: 'fence', epoch: first + 1 }])
  primary.receive(c, { kind: 'refused', epoch: first, promised: first })
  t.equal(primary.reign, first + 1, 'and counts no answer to the one before')
})

t.test('a replica answers once it is durable, and refuses who is older', async (t) => {
  const replica = open(b)
  const entry = { epoch: first, sequence: 1, prevEpoch: 0, committed: 0, batch }
  const append = { kind: 'append', epoch: first, previous: BEGINNING, entries: [entry] } as const
  replica.receive(a, { ...append, committed: 0, steady: true })
  const effects = replica.take()
  t.same(sentBy(effects), [], 'not yet')
  replica.durable(1)
  t.same(sentBy(replica.take()), [{ kind: 'appended', epoch: first, matched: 1 }])
  replica.receive(c, { kind: 'fence', epoch: first + 5 })
  const last = { epoch: first, sequence: 1 }
  t.same(sentBy(settle(replica)), [{ kind: 'fenced', epoch: first + 5, last }])
  replica.receive(a, { ...append, committed: 1, steady: true })
  t.same(sentBy(settle(replica)), [{ kind: 'refused', epoch: first, promised: first + 5 }])
  t.equal(replica.log.committed, 0)
})

t.test('what was never committed is cut off, and may be replaced by an older epoch', async (t) => {
  const old = { epoch: 5, sequence: 1, prevEpoch: 0, committed: 0, batch }
  const replica = open(b, { ...NEW_REPLICA, promised: 5, entries: [old] })
  const entries = [
    { epoch: 4, sequence: 1, prevEpoch: 0, committed: 0, batch },
    { epoch: 6, sequence: 2, prevEpoch: 4, committed: 0, batch },
  ]
  const append = { kind: 'append', epoch: 6, previous: BEGINNING, entries } as const
  replica.receive(a, { ...append, committed: 1, steady: true })
  const effects = settle(replica)
  t.same(sentBy(effects), [{ kind: 'appended', epoch: 6, matched: 2 }])
  t.same(
    effects.filter(({ kind }) => kind === 'apply'),
    [{ kind: 'apply', entries: entries.slice(0, 1) }],
  )
  replica.receive(a, { ...append, entries: entries.slice(0, 1), committed: 1, steady: true })
  t.equal(replica.log.tail.last.sequence, 2, 'an older message again cuts nothing off')
})

t.test('a proposal is applied once a majority has it', async (t) => {
  const primary = serving()
  t.same(primary.propose(batch), { kind: 'proposed', epoch: first, sequence: 2 })
  t.same(
    settle(primary).filter(({ kind }) => kind === 'apply'),
    [],
    'the own drive is not enough',
  )
  primary.receive(b, { kind: 'appended', epoch: first, matched: 2 })
  const [applied] = settle(primary).filter((effect) => effect.kind === 'apply')
  t.same(
    applied?.entries.map(({ sequence }) => sequence),
    [2],
  )
})

t.test('a read waits for a round that began after it', async (t) => {
  const primary = serving()
  primary.read(1)
  t.same(sentBy(settle(primary), b), [{ kind: 'confirm', epoch: first, round: 1 }])
  primary.read(2)
  primary.read(3)
  primary.receive(b, { kind: 'confirmed', epoch: first, round: 1 })
  const effects = settle(primary)
  const ready = effects.flatMap((effect) => (effect.kind === 'read-ready' ? [effect.read] : []))
  t.same(ready, [1], 'an answer to an older question is none to later reads')
  t.same(
    sentBy(effects, b),
    [{ kind: 'confirm', epoch: first, round: 2 }],
    'which share the next one',
  )
  primary.receive(b, { kind: 'refused', epoch: first, promised: reignEpoch(2, 0) })
  t.same(settle(primary), [{ kind: 'deposed', epoch: first }])
  t.same(primary.read(4), { kind: 'not-serving', primary: a })
})

t.test('a primary with a shorter log fetches what a majority may have committed', async (t) => {
  const primary = open(a)
  primary.observe(decision)
  settle(primary)
  const entry = { epoch: 3, sequence: 1, prevEpoch: 0, committed: 0, batch }
  primary.receive(b, { kind: 'fenced', epoch: first, last: { epoch: 3, sequence: 1 } })
  t.same(sentBy(settle(primary), b), [{ kind: 'fetch', epoch: first, after: BEGINNING }])
  primary.receive(b, { kind: 'fetched', epoch: first, after: BEGINNING, entries: [entry] })
  settle(primary)
  t.same(primary.log.tail.last, { epoch: first, sequence: 2 }, 'and an entry of its own behind it')
  t.equal(primary.log.committed, 0)
})

t.test('too much is refused', async (t) => {
  const primary = serving()
  for (let count = 0; count < USUAL_LIMITS.pendingEntries; count += 1) primary.propose(batch)
  t.same(primary.propose(batch), { kind: 'busy' })
  for (let read = 0; read < USUAL_LIMITS.readsMax; read += 1) primary.read(read)
  t.same(primary.read(0), { kind: 'busy' })
})

t.test('a primary hands over to who is heard and lacks little', async (t) => {
  const primary = serving()
  t.notOk(primary.handOver([]))
  t.notOk(primary.handOver([a, 'd' as ReplicaId]), 'neither to itself nor to a stranger')
  t.notOk(primary.handOver([c]), 'nor to one that is silent')
  t.same(settle(primary), [])
  t.ok(primary.handOver([c, b]))
  const to = { ...decision, epoch: 2, primary: b }
  t.same(settle(primary), [{ kind: 'decide', from: decision, to }])
  t.ok(primary.isServing, 'until it is decided')
  primary.observe(to)
  t.match(settle(primary), [{ kind: 'write' }, { kind: 'deposed', epoch: first }])
  t.notOk(primary.handOver([b]), 'what it does not lead')
})

t.test('a silent primary is replaced once a majority misses it', async (t) => {
  const replica = open(b)
  replica.observe(decision)
  settle(replica)
  for (let tick = 0; tick < USUAL_LIMITS.suspectTicks; tick += 1) replica.tick()
  t.same(sentBy(settle(replica)), [
    { kind: 'doubt', epoch: 1 },
    { kind: 'doubt', epoch: 1 },
  ])
  replica.receive(c, { kind: 'doubted', epoch: 1, misses: true, last: BEGINNING })
  replica.tick()
  const to = { ...decision, epoch: 2, primary: b }
  t.same(settle(replica), [{ kind: 'decide', from: decision, to }])
})

t.test(
  'who joined dies as primary: the set before takes over, and abandons the change',
  async (t) => {
    const joint: Decision = { epoch: 5, primary: c, replicas: [a, c], previous: [a] }
    const replica = open(a)
    replica.observe(joint)
    settle(replica)
    for (let tick = 0; tick < USUAL_LIMITS.suspectTicks; tick += 1) replica.tick()
    const to = { ...joint, epoch: 6, primary: a }
    t.same(
      settle(replica).filter(({ kind }) => kind === 'decide'),
      [{ kind: 'decide', from: joint, to }],
    )
    replica.observe(to)
    replica.want([a])
    settle(replica)
    for (let tick = 0; tick < USUAL_LIMITS.decideTicks; tick += 1) replica.tick()
    const abandoned = { epoch: 7, primary: a, replicas: [a], previous: undefined }
    t.match(
      settle(replica).filter(({ kind }) => kind === 'decide'),
      [{ kind: 'decide', from: to, to: abandoned }],
    )
  },
)

t.test('during a change a majority of neither set takes nothing over', async (t) => {
  const d = 'd' as ReplicaId
  const joint: Decision = { epoch: 5, primary: d, replicas: [a, b, d], previous: [a, b, c] }
  const replica = open(a)
  replica.observe(joint)
  settle(replica)
  for (let tick = 0; tick < USUAL_LIMITS.suspectTicks; tick += 1) replica.tick()
  const asked = settle(replica).flatMap((effect) => (effect.kind === 'send' ? [effect.to] : []))
  t.same([...new Set(asked)].sort(), [b, c, d], 'everybody is asked')
  replica.tick()
  t.notOk(settle(replica).some(({ kind }) => kind === 'decide'))
  replica.receive(c, { kind: 'doubted', epoch: 5, misses: true, last: BEGINNING })
  replica.tick()
  t.ok(
    settle(replica).some(({ kind }) => kind === 'decide'),
    'a majority of the set before',
  )
})

t.test('a late question of a reign is not answered from a log that it replaced', async (t) => {
  const old = [1, 2].map((sequence) => {
    return { epoch: 5, sequence, prevEpoch: sequence === 1 ? 0 : 5, committed: 0, batch }
  })
  const replica = open(b, { ...NEW_REPLICA, promised: 5, entries: old })
  const fetch = { kind: 'fetch', epoch: 6, after: { epoch: 5, sequence: 1 } } as const
  replica.receive(a, fetch)
  t.match(sentBy(settle(replica)), [{ kind: 'fetched', entries: [{ sequence: 2 }] }])
  const entry = { epoch: 6, sequence: 1, prevEpoch: 0, committed: 0, batch }
  const append = { kind: 'append', epoch: 6, previous: BEGINNING, entries: [entry] } as const
  replica.receive(a, { ...append, committed: 1, steady: true })
  settle(replica)
  replica.receive(a, fetch)
  t.same(settle(replica), [])
  replica.receive(a, { ...fetch, after: BEGINNING })
  t.match(sentBy(settle(replica)), [{ kind: 'fetched', entries: [entry] }], 'it goes on')
})

t.test(
  'nobody is sent entries before the log is chosen, also when a change is activated',
  async (t) => {
    const joint: Decision = { epoch: 5, primary: a, replicas: [a, b, c], previous: [a, b] }
    const entry = { epoch: 3, sequence: 1, prevEpoch: 0, committed: 0, batch }
    const primary = open(a, { ...NEW_REPLICA, promised: 3, entries: [entry], decision: joint })
    settle(primary)
    primary.observe({ ...joint, previous: undefined })
    primary.tick()
    t.same(
      sentBy(settle(primary)).filter(({ kind }) => kind === 'append'),
      [],
    )
    const epoch = primary.reign!
    const last = { epoch: 4, sequence: 1 }
    primary.receive(b, { kind: 'fenced', epoch, last })
    const other = { ...entry, epoch: 4 }
    primary.receive(b, { kind: 'fetched', epoch, after: BEGINNING, entries: [other] })
    primary.receive(c, { kind: 'fenced', epoch, last: BEGINNING })
    t.match(sentBy(settle(primary), c).at(-1), { kind: 'append', previous: last })
  },
)

t.test(
  'rows that take nothing make a primary unsteady, and rows that are far behind do not',
  async (t) => {
    const primary = serving()
    const isSteady = (): boolean => {
      // It is about the rows: everybody else does well.
      const { last } = primary.log.tail
      primary.tick()
      const said = sentBy(settle(primary), b).flatMap((one) => (one.kind === 'append' ? [one] : []))
      primary.receive(b, { kind: 'appended', epoch: first, matched: last.sequence })
      settle(primary)
      return said.at(-1)!.steady
    }
    const { rowsLateTicks } = USUAL_LIMITS
    for (let count = 0; count < 2 * rowsLateTicks; count += 1) primary.propose(batch)
    settle(primary)
    for (let reached = 2; reached < 2 * rowsLateTicks; reached += 1) {
      t.ok(isSteady(), `rows are at ${reached}`)
      primary.rowsReached(reached)
    }
    const ticks = Array.from({ length: rowsLateTicks + 2 }, isSteady)
    t.same([ticks.at(0), ticks.at(-3), ticks.at(-1)], [true, true, false])
    primary.rowsReached(primary.log.applied)
    t.same([isSteady(), isSteady()], [true, true], 'once they have everything')
    for (let more = 0; more < 2 * rowsLateTicks; more += 1) isSteady()
    t.ok(isSteady(), 'nothing waits for them')
  },
)

t.test(
  'a replica takes nothing new while its rows are far behind, and hears what is committed',
  async (t) => {
    const entries = [1, 2, 3, 4, 5, 6].map((sequence) => {
      return { epoch: first, sequence, prevEpoch: sequence === 1 ? 0 : first, committed: 0, batch }
    })
    const limits = { ...USUAL_LIMITS, unappliedBytes: 2 }
    const replica = new PartitionReplica(
      { self: b, limits, state: NEW_REPLICA },
      { below: () => 0 },
    )
    /** Entries from after one sequence up to another; what it says, and which it hands to its rows. */
    const append = (after: number, to: number, committed: number) => {
      const previous = entries[after - 1] ?? BEGINNING
      const { epoch, sequence } = previous
      const some = { previous: { epoch, sequence }, entries: entries.slice(after, to) }
      replica.receive(a, { kind: 'append', epoch: first, ...some, committed, steady: true })
      const effects = settle(replica)
      const applied = effects.flatMap((effect) => (effect.kind === 'apply' ? effect.entries : []))
      const last = replica.log.tail.last.sequence
      return { said: sentBy(effects), applied: applied.map((entry) => entry.sequence), last }
    }
    const behind = (sequence: number) => [
      { kind: 'behind', epoch: first, committed: { epoch: first, sequence } },
    ]
    const appended = (matched: number) => [{ kind: 'appended', epoch: first, matched }]
    t.same(append(0, 4, 0), { said: appended(4), applied: [], last: 4 }, 'nothing is committed')
    t.same(append(4, 4, 2), { said: appended(4), applied: [1, 2], last: 4 })
    t.same(append(4, 5, 3), { said: behind(3), applied: [3], last: 4 }, 'it is full')
    t.same(append(2, 6, 4), { said: appended(4), applied: [4], last: 4 }, 'what it has counts')
    t.same(append(4, 4, 4), { said: behind(4), applied: [], last: 4 })
    replica.rowsReached(2)
    t.same(append(4, 6, 4), { said: behind(4), applied: [], last: 4 })
    replica.rowsReached(3)
    t.same(append(4, 6, 4), { said: appended(6), applied: [], last: 6 }, 'there is room again')
  },
)

t.test('a primary whose rows are behind takes what it proposes itself', async (t) => {
  const limits = { ...USUAL_LIMITS, unappliedEntries: 1 }
  const options = { self: a, limits, state: NEW_REPLICA }
  const primary = new PartitionReplica(options, { below: () => 0 })
  primary.observe({ ...decision, replicas: [a] })
  settle(primary)
  t.match([primary.propose(batch), primary.propose(batch)], [{ sequence: 2 }, { sequence: 3 }])
})
