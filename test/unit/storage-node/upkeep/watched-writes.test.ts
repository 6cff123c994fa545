// A shard that was written again since it is watched is not deleted, and who writes while it is deleted comes after that.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardDescription, StorageNode } from '../../../../src/storage-node/contract.ts'
import { WatchedWrites } from '../../../../src/storage-node/upkeep/watched-writes.ts'

const id = { uid: '1'.repeat(32) as Uid, part: 0, slot: 2 }
const description = { id } as ShardDescription

function openDrives() {
  const done: string[] = []
  let end = (_error?: Error) => {}
  const deleted = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error) : resolve())
  })
  const node = {
    beginShard: async (driveId: number) => done.push(`begin ${driveId}`),
    deleteShard: async (driveId: number) => {
      done.push(`delete ${driveId}`)
      await deleted
      done.push(`deleted ${driveId}`)
    },
  } as unknown as StorageNode
  return { done, own: new WatchedWrites(node), end: (error?: Error) => end(error) }
}

t.test('only the same shard on the same drive counts, and only since', async (t) => {
  const { own, end, done } = openDrives()
  await own.beginShard(1, description)
  const watch = own.watch(1, id)
  await own.beginShard(2, description)
  await own.beginShard(1, { ...description, id: { ...id, slot: 3 } })
  end()
  t.ok(await own.deleteUnlessWritten(watch))
  await own.beginShard(1, description)
  t.notOk(await own.deleteUnlessWritten(watch))
  own.letGo(watch)
  const again = own.watch(1, id)
  t.ok(await own.deleteUnlessWritten(again))
  t.equal(done.filter((what) => what === 'delete 1').length, 2)
})

for (const error of [undefined, new Error('the drive is gone')]) {
  t.test(`who begins meanwhile comes after it: ${error ? 'it fails' : 'it ends'}`, async (t) => {
    const { own, end, done } = openDrives()
    const watch = own.watch(1, id)
    const deleted = own.deleteUnlessWritten(watch)
    deleted.catch(() => undefined)
    const begun = own.beginShard(1, description)
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
    t.same(done, ['delete 1'])
    end(error)
    await begun
    t.equal(done.at(-1), 'begin 1')
    if (error) await t.rejects(deleted, error)
    else t.ok(await deleted)
  })
}

t.test('a shard that a row is to name is not the one that was asked about', async (t) => {
  const kept: number[] = []
  const node = { keepShard: async (driveId: number) => void kept.push(driveId) }
  const own = new WatchedWrites(node as unknown as StorageNode)
  const watch = own.watch(1, id)
  await own.keepShard(1, id)
  t.same(kept, [1])
  t.notOk(await own.deleteUnlessWritten(watch))
})
