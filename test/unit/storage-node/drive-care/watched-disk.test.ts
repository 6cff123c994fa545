// What a watched disk tells of its drives, and what it passes on of the disk behind it.
import { join } from 'node:path'
import t from 'tap'
import { realWorld } from '../../../../src/kit/world.ts'
import { DriveHealth } from '../../../../src/storage-node/drive-care/drive-health.ts'
import { WatchedDisk } from '../../../../src/storage-node/drive-care/watched-disk.ts'
import { SickDisk } from '../../../support/sick-disk.ts'

t.test('a write that is durable when it ends is as heavy as a sync', async (t) => {
  const root = t.testdir({ file: '' })
  const watched = new WatchedDisk(realWorld().disk)
  const health = new DriveHealth(() => performance.now())
  watched.watch(root, health)
  const path = join(root, 'file')
  const file = await watched.open(path, 'write')
  await file.write([Buffer.from('plain')], 0)
  t.equal(file.isThrough, undefined)
  t.ok(health.lastDone('write'))
  t.equal(health.lastDone('sync'), undefined)
  const through = await watched.openThrough!(path)
  await through.write([Buffer.from('bytes')], 0)
  t.equal(through.isThrough, true)
  t.ok(health.lastDone('sync'))
  t.same(await watched.readFile(path), Buffer.from('bytes'))
  await through.close()
  await file.close()
})

t.test('a drive that lies in another one is observed for itself', async (t) => {
  const root = t.testdir({ new: { file: '' } })
  const watched = new WatchedDisk(realWorld().disk)
  const [outer, inner, next] = [newHealth(), newHealth(), newHealth()]
  watched.watch(root, outer)
  watched.watch(join(root, 'new'), inner)
  const look = (): Promise<unknown> => watched.readFile(join(root, 'new', 'file'))
  await look()
  t.equal(outer.lastDone('other'), undefined)
  t.ok(inner.lastDone('other'))
  // Another one takes the place of the inner one, which ends later.
  watched.watch(join(root, 'new'), next)
  watched.unwatch(inner)
  await look()
  t.equal(outer.lastDone('other'), undefined)
  t.ok(next.lastDone('other'))
  watched.unwatch(next)
  await look()
  t.ok(outer.lastDone('other'))
})

function newHealth(): DriveHealth {
  return new DriveHealth(() => performance.now())
}

t.test('it has no more than the disk behind it', async (t) => {
  const plain = new WatchedDisk(new SickDisk(realWorld().disk))
  t.equal(plain.openThrough, undefined)
  t.equal(plain.gather, undefined)
  await new WatchedDisk(realWorld().disk).gather!()
})
