// Requests whose metadata does not answer: one time for all that they wait for, however many waits follow each other, and
// nothing is thrown away of which nobody knows whether it is named.
import t from 'tap'
import { realWorld } from '../../../src/kit/world.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import { WritesUnderWay } from '../../../src/metadata/writes-under-way.ts'
import type { ObjectStore } from '../../../src/objects/object-store.ts'
import { Objects } from '../../../src/objects/objects.ts'
import { Router } from '../../../src/placement/router.ts'
import { MessageType } from '../../../src/storage-node/rpc/messages.ts'
import { remotePartitions } from '../../../src/storage-node/rpc/remote-partition.ts'
import { NodeUnreachable } from '../../../src/storage-node/rpc/trouble.ts'
import { PartitionNodes, type Sent } from '../../support/partition-nodes.ts'
import { bodyOf, openMemoryStore } from './memory-store.ts'

const LONGEST_MS = 10 * 60_000
/** Turns of the event loop in which all that needs no time is done. */
const TURNS = 20
const { signal } = new AbortController()

/** Time that goes on to the next that waits for it, when nothing else can happen. */
class NextTime {
  nowMs = 0
  readonly #sleepers = new Set<{ untilMs: number; wake: () => void }>()

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper = { untilMs: this.nowMs + Math.max(0, ms), wake: resolve }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers.delete(sleeper)
        reject(signal.reason)
      })
    })
  }

  async drive<T>(work: Promise<T>): Promise<T> {
    let isOver = false
    const end = (): void => {
      isOver = true
    }
    work.then(end, end)
    while (!isOver && this.nowMs < LONGEST_MS) {
      for (let turn = 0; turn < TURNS; turn += 1) await nextTurn()
      if (!isOver) this.#pass()
    }
    return await work
  }

  #pass(): void {
    const untilMs = Math.min(...[...this.#sleepers].map((sleeper) => sleeper.untilMs))
    if (untilMs === Number.POSITIVE_INFINITY) return
    this.nowMs = untilMs
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > untilMs) continue
      this.#sleepers.delete(sleeper)
      sleeper.wake()
    }
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A gateway whose metadata is led by one node, in a time of its own. */
async function openGateway() {
  const store = await openMemoryStore(3)
  const time = new NextTime()
  const { random, clock: real } = realWorld()
  const startMs = real.now()
  const clock = {
    now: () => startMs + Math.floor(time.nowMs),
    monotonicMs: () => time.nowMs,
    sleep: (ms: number, signal?: AbortSignal) => time.sleep(ms, signal),
  }
  const nodes = new PartitionNodes(clock)
  nodes.add('n1', (id) => store.partitions[id])
  for (const { id } of store.partitions) nodes.setPrimary(id, 'n1')
  const world = { ...store.parts.world, clock, random }
  const remote = remotePartitions(store.partitions.length, {
    ...{ primaries: nodes, transport: nodes },
    world,
  })
  t.teardown(remote.close)
  const writes = new WritesUnderWay(world)
  const router = new Router(store.coordinator, remote.partitions)
  const parts = { ...store.parts, world, writes, router }
  const objects = new Objects(parts)
  /** Milliseconds until it is over, and how it ended. */
  const timed = async <T>(ask: () => Promise<T>) => {
    const sinceMs = time.nowMs
    const ended = ask().then(
      (answer) => ({ answer, error: undefined, ms: time.nowMs - sinceMs }),
      (error: unknown) => ({ answer: undefined, error, ms: time.nowMs - sinceMs }),
    )
    return await time.drive(ended)
  }
  /** It never hears of an answer. */
  const hang = async ({ request }: Sent): Promise<never> => {
    await time.sleep(request.deadlineMs - time.nowMs)
    throw new NodeUnreachable('late', 'unknown')
  }
  const { bucket, node, partitions, coordinator } = store
  /** Nobody is there. */
  const refuse = (): Promise<never> =>
    Promise.reject(new NodeUnreachable('nobody is there', 'not-sent'))
  const gateway = { bucket, node, partitions, coordinator, nodes, time, objects }
  return { ...gateway, writes, timed, hang, refuse }
}

type Gateway = Awaited<ReturnType<typeof openGateway>>

function put(objects: ObjectStore, { bucket }: Pick<Gateway, 'bucket'>, key = 'k') {
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  const body = bodyOf(Buffer.from('some bytes'))
  return objects.put({ bucket, key, attributes, conditions: {}, body, signal })
}

/** A request that came so long ago. */
function came({ time }: Pick<Gateway, 'time'>, waitedMs = 0, departed = false) {
  return { startMs: time.nowMs - waitedMs, departed }
}

function list(objects: ObjectStore, { bucket }: Pick<Gateway, 'bucket'>) {
  return objects.list({ bucket, prefix: '', delimiter: '', after: '', limit: 10 })
}

const asked: [string, number, (objects: ObjectStore, gateway: Gateway) => Promise<unknown>][] = [
  ['PUT', 25_000, put],
  ['DELETE', 25_000, (objects, { bucket }) => objects.delete(bucket, 'k', { conditions: {} })],
  ['GET and HEAD', 15_000, (objects, { bucket }) => objects.find(bucket, 'k')],
  ['LIST', 25_000, list],
  ['DELETE of a bucket', 25_000, (objects) => objects.deleteBucket('bucket')],
  [
    'PUT of settings',
    25_000,
    (objects, { bucket }) => objects.changeBucket(bucket, { versioning: 'enabled' }),
  ],
]

for (const [name, wantedMs, ask] of asked) {
  t.test(`${name}: metadata that does not answer is waited for once`, async (t) => {
    const gateway = await openGateway()
    gateway.nodes.fault = gateway.hang
    const { error, ms } = await gateway.timed(() => ask(gateway.objects, gateway))
    t.ok(error instanceof MetadataUnavailable, String(error))
    t.ok(ms <= wantedMs + 1, `${ms} ms`)
    t.ok(ms >= 15_000 - 1, 'long enough for another node to lead')
  })
}

t.test('waits of one request that follow each other have one time together', async (t) => {
  const gateway = await openGateway()
  const { nodes, time, bucket, timed, hang, refuse } = gateway
  const objects = gateway.objects.forRequest(came(gateway))
  nodes.fault = (sent, deliver) => {
    if (sent.request.type === MessageType.CommitCommand) return hang(sent)
    return time.nowMs < 12_000 ? refuse() : deliver()
  }
  let isFound = false
  const { error, ms } = await timed(async () => {
    await objects.find(bucket, 'k')
    isFound = true
    await put(objects, gateway)
  })
  t.ok(isFound)
  t.ok(error instanceof MetadataUnavailable)
  t.ok(ms <= 25_001, `${ms} ms`)
})

t.test('what comes back within 15 s is waited for', async (t) => {
  const gateway = await openGateway()
  const { nodes, time, bucket, timed, refuse } = gateway
  const objects = gateway.objects.forRequest(came(gateway))
  nodes.fault = (_sent, deliver) => (time.nowMs < 14_000 ? refuse() : deliver())
  const { answer } = await timed(async () => {
    await objects.find(bucket, 'other')
    return await put(objects, gateway)
  })
  t.match(answer, { kind: 'done' })
})

t.test('who is answered may ask as often as it takes', async (t) => {
  const gateway = await openGateway()
  const { nodes, time, bucket, timed } = gateway
  const objects = gateway.objects.forRequest(came(gateway))
  nodes.fault = async (_sent, deliver) => {
    await time.sleep(4_000)
    return await deliver()
  }
  const { error, ms } = await timed(async () => {
    for (let count = 0; count < 10; count += 1) await objects.find(bucket, 'k')
  })
  t.equal(error, undefined)
  t.equal(ms, 40_000)
})

t.test('who has waited for its turn waits less for metadata', async (t) => {
  const gateway = await openGateway()
  const { nodes, timed, hang } = gateway
  nodes.fault = hang
  const objects = gateway.objects.forRequest(came(gateway, 29_000))
  const { ms } = await timed(() => put(objects, gateway))
  t.equal(ms, 15_000)
})

t.test('a question ends when its client is gone; a command is not given up', async (t) => {
  const gateway = await openGateway()
  const { nodes, time, bucket, timed, hang } = gateway
  nodes.fault = hang
  const objects = gateway.objects.forRequest(came(gateway, 0, true))
  const asked = await timed(() => objects.find(bucket, 'k'))
  t.ok(asked.error instanceof MetadataUnavailable)
  t.ok(asked.ms < 6_000, 'after the attempt that was under way')
  const backMs = time.nowMs + 9_000
  nodes.fault = (sent, deliver) => (time.nowMs < backMs ? hang(sent) : deliver())
  const { answer } = await timed(() => put(objects, gateway))
  t.match(answer, { kind: 'done' })
})

t.test('a write of which nobody knows whether it was done loses nothing', async (t) => {
  const gateway = await openGateway()
  const { nodes, bucket, partitions, node, time, writes, timed } = gateway
  const objects = gateway.objects.forRequest(came(gateway))
  nodes.fault = async (sent, deliver) => {
    // It is done, and no answer of that comes.
    const { request } = sent
    if (request.type === MessageType.CommitCommand) await deliver()
    return await gateway.hang(sent)
  }
  const { error } = await timed(() => put(objects, gateway))
  t.ok(error instanceof MetadataUnavailable)
  const attempts = new Set(nodes.sent.map(({ request }) => Buffer.from(request.body).toString()))
  t.equal(attempts.size, 1, 'every attempt was the same command')
  const shards = [...node.drives.values()].reduce((sum, { size }) => sum + size, 0)
  t.equal(shards, 3, 'its shards stay')
  const found = await Promise.all(
    partitions.map((partition) =>
      partition.getObject({ id: bucket.id, revision: 1, versioning: 'unversioned' }, 'k'),
    ),
  )
  t.equal(found.filter((version) => version !== undefined).length, 1, 'it was done, once')
  await time.drive((error as MetadataUnavailable).lateEnd!)
  t.same(writes.underWay(), [], 'until nothing of it can be under way any more')
})

t.test('a write that meets a bucket being deleted in vain waits once', async (t) => {
  const gateway = await openGateway()
  const { nodes, partitions, coordinator, bucket, objects, timed, hang } = gateway
  const answering = partitions[coordinator.state.map.metaPartitionCount - 1]!.id
  let isFrozen = false
  nodes.fault = async (sent, deliver) => {
    // One partition answers that the bucket is frozen; all others are silent.
    const partition = Buffer.from(sent.request.body).readUInt32LE(0)
    if (partition !== answering) return await hang(sent)
    const answer = await deliver()
    isFrozen = true
    return answer
  }
  const key = keyOf(gateway, answering)
  const { answer: ends } = await timed(async () => {
    const deleting = objects.deleteBucket('bucket').catch((error: unknown) => error)
    while (!isFrozen) await nextTurn()
    const sinceMs = gateway.time.nowMs
    const writing = put(objects, { bucket }, key).then(
      ({ kind }) => kind,
      (error: unknown) => error,
    )
    const outcome = await writing
    const ms = gateway.time.nowMs - sinceMs
    await deleting
    return { outcome, ms }
  })
  t.ok(ends!.ms <= 25_001, `${ends!.ms} ms: ${String(ends!.outcome)}`)
})

/** A key of that metadata partition. */
function keyOf({ bucket, coordinator, partitions }: Gateway, id: number): string {
  const router = new Router(coordinator, partitions)
  for (let count = 0; ; count += 1) {
    if (router.route(bucket.id, `k${count}`).metadata.id === id) return `k${count}`
  }
}
