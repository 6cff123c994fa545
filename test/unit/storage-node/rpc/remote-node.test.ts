// A storage node over the network: its errors, its streams that break, and what it keeps open.
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { DriveUnavailable } from '../../../../src/kit/drive-unavailable.ts'
import { CELL_BYTES } from '../../../../src/kit/erasure-code.ts'
import { realWorld } from '../../../../src/kit/world.ts'
import type {
  DriveMoment,
  ShardDescription,
  ShardId,
  ShardOpened,
  ShardWriter,
  StorageNode,
} from '../../../../src/storage-node/contract.ts'
import type { NodeServerOptions } from '../../../../src/storage-node/rpc/node-server.ts'
import { OpenReaders } from '../../../../src/storage-node/rpc/open-readers.ts'
import { RemoteNode, type RemoteNodeOptions } from '../../../../src/storage-node/rpc/remote-node.ts'
import { putShard, sampleShard, writeCells } from '../../../contracts/shard-samples.ts'
import { openPeer, serveShards } from '../../../support/node-pair.ts'
import { Seeded } from '../../../support/seeded.ts'

const SMALL = sampleShard(new Seeded(1), 1000)
const LARGE = sampleShard(new Seeded(2), 10 * CELL_BYTES + 5)

/** A node whose steps can be made to fail or to hang; it notes what became of its writers. */
class ScriptedNode implements StorageNode {
  readonly ends: string[] = []
  /** How often a shard was begun, or asked whether it could be. */
  begun = 0
  fails: { [Step in 'begin' | 'write' | 'commit' | 'open' | 'delete']?: unknown } = {}
  onEnd: () => void = () => {}

  async beginShard(_drive: number, _description: ShardDescription): Promise<ShardWriter> {
    this.begun += 1
    this.#step('begin')
    return {
      write: async () => this.#step('write'),
      commit: async () => {
        this.#step('commit')
        this.#note('committed')
      },
      abort: async () => this.#note('aborted'),
    }
  }

  hasRoom(): boolean {
    return true
  }

  async openShard(): Promise<ShardOpened> {
    this.#step('open')
    return { kind: 'missing' }
  }

  async deleteShard(): Promise<void> {
    this.#step('delete')
  }

  async momentOn(): Promise<DriveMoment> {
    return 'now' as DriveMoment
  }

  async deleteUntouched(_drive: number, _id: ShardId, since: DriveMoment): Promise<boolean> {
    this.#step('delete')
    return since === 'now'
  }

  async keepShard(): Promise<void> {
    this.#note('kept')
  }

  #step(step: keyof ScriptedNode['fails']): void {
    if (this.fails[step] !== undefined) throw this.fails[step]
  }

  #note(end: string): void {
    this.ends.push(end)
    this.onEnd()
  }
}

async function openPair(
  t: Test,
  options: RemoteNodeOptions = {},
  served: Partial<NodeServerOptions> = {},
): Promise<{ local: ScriptedNode; remote: RemoteNode; cut: () => void }> {
  const local = new ScriptedNode()
  const { port } = await serveShards(t, local, served)
  const sockets = new Set<Socket>()
  const way = createServer((from) => {
    const to = connect(port, '127.0.0.1')
    for (const socket of [from, to]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    from.on('close', () => to.destroy())
    to.on('close', () => from.destroy())
    from.pipe(to).pipe(from)
  })
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  way.listen(0, '127.0.0.1')
  await once(way, 'listening')
  t.teardown(() => {
    cut()
    way.close()
  })
  const origin = `http://127.0.0.1:${(way.address() as AddressInfo).port}`
  const peer = openPeer(t, { origin })
  return { local, remote: new RemoteNode(peer, realWorld(), options), cut }
}

/** A store of one drive, as the samples want it. */
function drive(node: StorageNode): Parameters<typeof putShard>[0] {
  return {
    beginShard: (description) => node.beginShard(7, description),
    openShard: (id) => node.openShard(7, id),
    deleteShard: (id) => node.deleteShard(7, id),
  }
}

for (const [size, shard] of Object.entries({ small: SMALL, large: LARGE })) {
  t.test(`trouble with a drive stays what it is, for a ${size} shard`, async (t) => {
    const { local, remote } = await openPair(t)
    for (const trouble of ['failed', 'full', 'unknown'] as const) {
      for (const step of ['begin', 'write', 'commit'] as const) {
        local.fails = { [step]: new DriveUnavailable(7, trouble) }
        const error = { code: 'DRIVE_UNAVAILABLE', driveId: 7, trouble }
        await t.rejects(putShard(drive(remote), shard), error, `${trouble} at ${step}`)
      }
      local.fails = { begin: new DriveUnavailable(7, trouble) }
      await t.rejects(
        remote.beginShard(7, shard.description),
        { code: 'DRIVE_UNAVAILABLE', trouble },
        'before any cell',
      )
    }
    t.notOk(local.ends.includes('committed'))
  })

  t.test(`a ${size} shard that could not be begun, for a reason without a type`, async (t) => {
    const { local, remote } = await openPair(t)
    local.fails = { begin: new Error('out of order') }
    const error = { code: 'DRIVE_UNAVAILABLE', trouble: 'failed', cause: { code: 'NODE_FAILED' } }
    await t.rejects(remote.beginShard(7, shard.description), error)
  })
}

t.test('reading and deleting', async (t) => {
  const { local, remote } = await openPair(t)
  const { id } = SMALL.description
  t.same(await remote.openShard(7, id), { kind: 'missing' })
  await remote.deleteShard(7, id)
  local.fails = {
    open: new DriveUnavailable(7, 'failed'),
    delete: new DriveUnavailable(7, 'unknown'),
  }
  await t.rejects(remote.openShard(7, id), { code: 'DRIVE_UNAVAILABLE', trouble: 'failed' })
  await t.rejects(remote.deleteShard(7, id), { code: 'DRIVE_UNAVAILABLE', trouble: 'unknown' })
})

t.test('a drive that said that it is full is passed by for a moment', async (t) => {
  const { local, remote } = await openPair(t)
  t.ok(remote.hasRoom(7, 1000, 'data'))
  local.fails = { begin: new DriveUnavailable(7, 'full') }
  await t.rejects(remote.beginShard(7, SMALL.description), {
    code: 'DRIVE_UNAVAILABLE',
    trouble: 'full',
  })
  t.notOk(remote.hasRoom(7, 1000, 'data'))
  t.ok(remote.hasRoom(7, 999, 'data'), 'a smaller one may fit')
  t.ok(remote.hasRoom(7, 1000, 'move'), 'other uses leave another reserve')
  t.ok(remote.hasRoom(8, 1000, 'data'))
})

t.test('while small shards come quickly, none is asked for first', async (t) => {
  let nowMs = 0
  const clock = { ...realWorld().clock, monotonicMs: () => nowMs }
  const local = new ScriptedNode()
  const { origin } = await serveShards(t, local)
  const remote = new RemoteNode(openPeer(t, { origin }), { clock })
  const small = drive(remote)
  const begunFor = async (work: () => Promise<unknown>): Promise<number> => {
    const before = local.begun
    await work()
    return local.begun - before
  }
  const put = (): Promise<number> => begunFor(() => putShard(small, SMALL))
  t.equal(await put(), 2, 'asked, and made')
  t.equal(await put(), 1)
  const larger = sampleShard(new Seeded(3), 1001)
  t.equal(await begunFor(() => putShard(small, larger)), 2, 'a larger one is another question')
  nowMs += 249
  t.equal(await put(), 1)
  nowMs += 1
  t.equal(await put(), 2, 'what was said long ago counts no more')
  local.fails = { commit: new DriveUnavailable(7, 'unknown') }
  await t.rejects(putShard(small, SMALL), { code: 'DRIVE_UNAVAILABLE', trouble: 'unknown' })
  local.fails = {}
  t.equal(await put(), 2, 'nor does it where something went wrong')
  local.fails = { begin: new DriveUnavailable(7, 'full') }
  const full = { code: 'DRIVE_UNAVAILABLE', trouble: 'full' }
  await t.rejects(putShard(small, SMALL), full, 'who is not asked says it later')
  t.notOk(remote.hasRoom(7, 1000, 'data'))
  await t.rejects(remote.beginShard(7, SMALL.description), full)
})

t.test('a stream that breaks is thrown away there, and told here', async (t) => {
  const { local, remote, cut } = await openPair(t)
  const writer = await remote.beginShard(7, LARGE.description)
  const aborted = new Promise<void>((resolve) => {
    local.onEnd = resolve
  })
  await writer.write(LARGE.bytes.subarray(0, CELL_BYTES))
  cut()
  await aborted
  t.same(local.ends, ['aborted'])
  const goOn = async (): Promise<void> => {
    for (let at = 1; at < 10; at += 1) {
      await writer.write(LARGE.bytes.subarray(at * CELL_BYTES, (at + 1) * CELL_BYTES))
    }
  }
  const error = { code: 'DRIVE_UNAVAILABLE', trouble: 'failed', cause: { outcome: 'unknown' } }
  await t.rejects(goOn(), error)
  await writer.abort()
})

t.test('a stream that is given up is thrown away there', async (t) => {
  const { local, remote } = await openPair(t)
  const writer = await remote.beginShard(7, LARGE.description)
  const aborted = new Promise<void>((resolve) => {
    local.onEnd = resolve
  })
  await writer.write(LARGE.bytes.subarray(0, CELL_BYTES))
  await writer.abort()
  await aborted
  t.same(local.ends, ['aborted'])
  await t.rejects(writer.write(LARGE.bytes.subarray(0, CELL_BYTES)), { name: 'AssertionFailed' })
})

t.test('cells that fail leave the memory of the node to others', async (t) => {
  const receivedBytes = 4 * CELL_BYTES
  const { local, remote } = await openPair(t, { stepMs: 3000 }, { limits: { receivedBytes } })
  local.fails = { write: new DriveUnavailable(7, 'failed') }
  for (let count = 0; count < 8; count += 1)
    await t.rejects(putShard(drive(remote), LARGE), {
      code: 'DRIVE_UNAVAILABLE',
      trouble: 'failed',
    })
  local.fails = {}
  await putShard(drive(remote), LARGE)
  t.equal(local.ends.at(-1), 'committed')
})

t.test('a commit whose answer does not come: nobody knows', async (t) => {
  for (const shard of [SMALL, LARGE]) {
    const { local, remote, cut } = await openPair(t)
    const writer = await writeCells(drive(remote), shard)
    local.onEnd = cut
    const error = { code: 'DRIVE_UNAVAILABLE', trouble: 'failed', cause: { outcome: 'unknown' } }
    await t.rejects(writer.commit(), error)
    t.same(local.ends.slice(-1), ['committed'])
  }
})

t.test('the first cell may be waited for as long as every other', async (t) => {
  const { local, remote } = await openPair(t, { silenceMs: 10_000, stepMs: 300 })
  const writer = await remote.beginShard(7, LARGE.description)
  await new Promise((resolve) => setTimeout(resolve, 600))
  t.same(local.ends, [])
  for (let at = 0; at < LARGE.bytes.length; at += CELL_BYTES)
    await writer.write(LARGE.bytes.subarray(at, at + CELL_BYTES))
  await writer.commit()
  t.same(local.ends, ['committed'])
})

t.test(
  'clients that send slowly keep no others from writing through the same gateway',
  async (t) => {
    const { local, remote } = await openPair(t, { stepMs: 5_000 })
    const { description } = LARGE
    const slow = await Promise.all(
      Array.from({ length: 200 }, () => remote.beginShard(1, description)),
    )
    t.equal(local.begun, 200, 'each is under way there')
    await (await writeCells(drive(remote), LARGE)).commit()
    t.same(local.ends, ['committed'])
    await Promise.all(slow.map((writer) => writer.abort()))
  },
)

t.test('a writer that is silent for too long is given up by the node', async (t) => {
  const { local, remote } = await openPair(t, { silenceMs: 50, stepMs: 200 })
  const aborted = new Promise<void>((resolve) => {
    local.onEnd = resolve
  })
  const writer = await remote.beginShard(7, LARGE.description)
  await writer.write(LARGE.bytes.subarray(0, CELL_BYTES))
  await aborted
  t.same(local.ends, ['aborted'])
})

t.test('nobody there: the drive has failed, and nothing was sent', async (t) => {
  const { remote, cut } = await openPair(t)
  const gone = new RemoteNode(openPeer(t, { origin: 'http://127.0.0.1:1' }), realWorld())
  const error = { code: 'DRIVE_UNAVAILABLE', trouble: 'failed', cause: { outcome: 'not-sent' } }
  for (const { description } of [SMALL, LARGE]) {
    await t.rejects(gone.beginShard(7, description), error)
  }
  await t.rejects(gone.openShard(7, SMALL.description.id), error)
  t.same(await remote.openShard(7, SMALL.description.id), { kind: 'missing' })
  cut()
  const again = await remote.openShard(7, SMALL.description.id)
  t.same(again, { kind: 'missing' }, 'a read is asked again when its connection broke')
})

t.test('callers are held to the contract', async (t) => {
  const { remote } = await openPair(t)
  const writer = await remote.beginShard(7, SMALL.description)
  await t.rejects(writer.commit(), { name: 'AssertionFailed' }, 'without its cells')
  await t.rejects(writer.write(new Uint8Array(3)), { name: 'AssertionFailed' }, 'of another length')
})

t.test('readers that are kept open', async (t) => {
  const closed: string[] = []
  const opened: string[] = []
  const open = (name: string) => async (): Promise<ShardOpened> => {
    opened.push(name)
    const reader = {
      describe: async () => ({ kind: 'missing' as const }),
      readCell: async () => ({ kind: 'missing' as const }),
      close: async () => void closed.push(name),
    }
    return { kind: 'found', reader }
  }
  const readers = new OpenReaders(2)
  const use = (name: string, nowMs: number) =>
    readers.use(name, nowMs, open(name), async () => name)
  t.equal(await use('a', 1), 'a')
  t.equal(await use('a', 2), 'a')
  t.same(opened, ['a'], 'it is opened once')
  await use('b', 3)
  await use('a', 4)
  await use('c', 5)
  t.same(closed, ['b'], 'the one that was not used for longest makes room')
  let letGo = (): void => {}
  const busy = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const using = readers.use('a', 6, open('a'), () => busy)
  await readers.close('a')
  t.same(closed, ['b'], 'not while it is used')
  letGo()
  await using
  t.same(closed, ['b', 'a'])
  await readers.closeIdle(5)
  t.equal(readers.size, 1)
  await readers.closeIdle(6)
  t.same(closed, ['b', 'a', 'c'])
  t.equal(readers.size, 0)

  const missing = async (): Promise<ShardOpened> => ({ kind: 'missing' })
  t.same(await readers.use('d', 7, missing, async () => 'd'), { kind: 'missing' })
  await t.rejects(
    readers.use(
      'd',
      7,
      async () => Promise.reject(new DriveUnavailable(7, 'failed')),
      async () => 'd',
    ),
  )
  t.equal(readers.size, 0, 'what is not there is looked for again')
})
