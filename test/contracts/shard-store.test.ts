// The contract of shard stores, run against a real drive, a forgetful one, and a drive of a storage node.
import t, { type Test } from 'tap'
import { DriveUnavailable } from '../../src/kit/drive-unavailable.ts'
import { silentLog } from '../../src/kit/log.ts'
import { realWorld, type World } from '../../src/kit/world.ts'
import type { ShardDescription, StorageNode } from '../../src/storage-node/contract.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { formatDrive } from '../../src/storage-node/drive-format.ts'
import type { OpenLevel } from '../../src/storage-node/drive-lock.ts'
import { RemoteNode } from '../../src/storage-node/rpc/remote-node.ts'
import { ShardStore } from '../../src/storage-node/shard-store.ts'
import { LocalStorageNode } from '../../src/storage-node/storage-node.ts'
import { ForgetfulMachine } from '../crash/forgetful-machine.ts'
import { openPeer, serveShards } from '../support/node-pair.ts'
import { Seeded } from '../support/seeded.ts'
import { cellsOf, judgeShard, putShard, type ShardKeeper, sampleShard } from './shard-samples.ts'
import { shardStoreContract } from './shard-store.contract.ts'

const marker = { format: 4, clusterId: 'test', driveId: 7, uuid: 'seven', createdMs: 1 }

async function openStore(
  t: Test,
  path: string,
  { world, openLevel }: { world: World; openLevel?: OpenLevel },
): Promise<ShardStore> {
  const levels = openLevel === undefined ? {} : { openLevel }
  await formatDrive(world, path, marker)
  const drive = await Drive.open(world, path, marker, levels)
  const store = await ShardStore.open(drive, { world, log: silentLog, ...levels })
  t.teardown(async () => {
    await store.close()
    await drive.close()
  })
  return store
}

function onDisk(t: Test): Promise<ShardStore> {
  return openStore(t, t.testdir(), { world: realWorld() })
}

async function inMemory(t: Test): Promise<ShardStore> {
  const { world, levels } = new ForgetfulMachine(1)
  await world.disk.makeDirectory('/drive')
  return await openStore(t, '/drive', { world, openLevel: levels.openLevel })
}

async function localNode(t: Test): Promise<StorageNode> {
  return new LocalStorageNode(new Map([[7, await inMemory(t)]]))
}

async function otherNode(t: Test): Promise<StorageNode> {
  const { origin } = await serveShards(t, await localNode(t))
  return new RemoteNode(openPeer(t, { origin }), realWorld())
}

function keeperOn(node: StorageNode): ShardKeeper {
  return {
    beginShard: (description) => node.beginShard(7, description),
    openShard: (id) => node.openShard(7, id),
    openAtHand: (id) => node.openAtHand?.(7, id),
    deleteShard: (id) => node.deleteShard(7, id),
  }
}

const onNode = async (t: Test): Promise<ShardKeeper> => keeperOn(await localNode(t))
const onOtherNode = async (t: Test): Promise<ShardKeeper> => keeperOn(await otherNode(t))

for (const [name, open] of Object.entries({ onDisk, inMemory, onNode, onOtherNode })) {
  t.test(name, async (t) => shardStoreContract(t, open))
}

for (const [name, open] of Object.entries({ localNode, otherNode })) {
  t.test(`a deletion that was decided earlier, on ${name}`, async (t) => {
    const node = await open(t)
    for (const bytes of [1000, 2 * 1024 * 1024]) {
      const shard = sampleShard(new Seeded(bytes), bytes)
      const { id } = shard.description
      const writeFor = async (use: 'data' | 'move'): Promise<void> => {
        const begin = (description: ShardDescription) => node.beginShard(7, description, use)
        await putShard({ ...keeperOn(node), beginShard: begin }, shard)
      }
      await writeFor('data')
      const decided = await node.momentOn(7)
      await writeFor('move')
      t.notOk(await node.deleteUntouched(7, id, decided), 'it was made again since')
      t.equal(await judgeShard(keeperOn(node), shard), 'whole')
      const late = await node.beginShard(7, shard.description, 'move')
      for (const cell of cellsOf(shard)) await late.write(cell)
      const meanwhile = await node.momentOn(7)
      await late.commit()
      t.notOk(await node.deleteUntouched(7, id, meanwhile), 'who made it had begun before')
      const before = await node.momentOn(7)
      await node.keepShard(7, id)
      t.notOk(await node.deleteUntouched(7, id, before), 'a row is to name it')
      t.equal(await judgeShard(keeperOn(node), shard), 'whole')
      t.ok(await node.deleteUntouched(7, id, await node.momentOn(7)))
      t.equal(await judgeShard(keeperOn(node), shard), 'missing')
      t.ok(await node.deleteUntouched(7, id, await node.momentOn(7)), 'it may be gone already')
    }
  })
}

t.test('copies are shards as others are', async (t) => {
  for (const bytes of [1, 4096, 100_000]) {
    const node = new LocalStorageNode(new Map([[7, await inMemory(t)]]))
    const shard = sampleShard(new Seeded(bytes), bytes)
    const { uid, part } = shard.description.id
    const [cell] = cellsOf(shard)
    const copies = node.copies({ ...shard.description, id: { uid, part } }, cell!)
    for (const slot of [2, 0]) {
      const keeper = keeperOn(node)
      const copy = sampleShard(new Seeded(bytes), bytes)
      const description = { ...copy.description, id: { uid, part, slot } }
      t.equal(await judgeShard(keeper, { ...copy, description }), 'missing')
      await copies.put(7, slot)
      t.equal(await judgeShard(keeper, { ...copy, description }), 'whole')
      await copies.put(7, slot)
      t.equal(await judgeShard(keeper, { ...copy, description }), 'whole', 'made again')
    }
    cell!.fill(0xee) // They are durable: its bytes may be reused.
    for (const slot of [2, 0]) {
      const copy = sampleShard(new Seeded(bytes), bytes)
      const description = { ...copy.description, id: { uid, part, slot } }
      t.equal(await judgeShard(keeperOn(node), { ...copy, description }), 'whole')
    }
    await t.rejects(copies.put(8, 1), { name: 'DriveUnavailable', trouble: 'unknown' })
  }
})

t.test('a copy that is too large for a segment has a file of its own', async (t) => {
  const { world, levels, disk } = new ForgetfulMachine(1)
  await world.disk.makeDirectory('/drive')
  await formatDrive(world, '/drive', marker)
  const drive = await Drive.open(world, '/drive', marker, levels)
  const parts = { world, log: silentLog, ...levels }
  const store = await ShardStore.open(drive, parts, { segmentShardBytes: 1000 })
  const node = new LocalStorageNode(new Map([[7, store]]))
  const shard = sampleShard(new Seeded(5), 2000)
  const { uid, part, slot } = shard.description.id
  const copies = node.copies({ ...shard.description, id: { uid, part } }, cellsOf(shard)[0]!)
  await copies.put(7, slot)
  t.equal(await judgeShard(keeperOn(node), shard), 'whole')
  t.same(disk.files('/drive/seg'), [])
  await store.close()
  await t.rejects(copies.put(7, slot), DriveUnavailable)
  await drive.close()
})

t.test('a drive that the node does not have', async (t) => {
  const node = new LocalStorageNode(new Map())
  const { description } = sampleShard(new Seeded(3), 10)
  const unknown = { name: 'DriveUnavailable', trouble: 'unknown' }
  await t.rejects(node.beginShard(1, description), unknown)
  await t.rejects(node.openShard(1, description.id), unknown)
  await t.rejects(node.deleteShard(1, description.id), unknown)
  await t.rejects(node.momentOn(1), unknown)
})

t.test('a closed store refuses', async (t) => {
  const store = await inMemory(t)
  const { description } = sampleShard(new Seeded(3), 10)
  const writer = await store.beginShard(description)
  await store.close()
  await t.rejects(store.openShard(description.id), DriveUnavailable)
  await t.rejects(store.beginShard(description), DriveUnavailable)
  await t.rejects(writer.commit(), DriveUnavailable)
})
