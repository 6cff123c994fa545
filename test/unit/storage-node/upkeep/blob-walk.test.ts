// A pass meets every blob that is there all the while, also of versions that go back to where it has been.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { WalkPosition } from '../../../../src/storage-node/upkeep/blob-walk.ts'
import { BlobWalk } from '../../../../src/storage-node/upkeep/blob-walk.ts'
import { type Fixture, openFixture } from '../../metadata/partition-fixture.ts'

const KEYS = 100

/** Keys of two versions each: more than a page of the latest ones. */
async function openStore(): Promise<Fixture & { newest: string[] }> {
  const fixture = await openFixture()
  const { store } = fixture
  store.setVersioning('enabled')
  const newest: string[] = []
  for (let index = 0; index < KEYS; index += 1) {
    const key = keyOf(index)
    await store.put(key, 'older')
    const put = await store.put(key, 'newer')
    if (put.kind !== 'done') throw new Error(put.kind)
    newest.push(put.version.versionId)
  }
  return { ...fixture, newest }
}

function keyOf(index: number): string {
  return `k${`${index}`.padStart(4, '0')}`
}

/** Every uid that the rest of the walk gives. */
async function walkOn(walk: BlobWalk): Promise<Set<Uid>> {
  const seen = new Set<Uid>()
  for (;;) {
    const blobs = await walk.next(4)
    if (blobs.length === 0) return seen
    for (const blob of blobs) {
      seen.add(blob.reference.blob.uid)
      walk.note(blob, { kind: 'whole' })
    }
  }
}

async function uidOf({ store }: Fixture, index: number): Promise<Uid> {
  const version = await store.get(keyOf(index))
  return (version as { blob: { uid: Uid } }).blob.uid
}

function begin({ partition }: Fixture, from: Partial<WalkPosition> = {}): BlobWalk {
  return new BlobWalk('scrub', [partition], { startedMs: 0, ...from })
}

/** The newest version of the first key goes: the one below becomes the latest, and is told. */
async function promoteFirst(fixture: Fixture & { newest: string[] }): Promise<Uid> {
  await fixture.store.remove(keyOf(0), fixture.newest[0]!)
  return await uidOf(fixture, 0)
}

/** A walk of a full store, and a version that became the latest behind it. */
async function beginAndPromote() {
  const fixture = await openStore()
  const walk = begin(fixture)
  await walk.next(1)
  return { fixture, walk, promoted: await promoteFirst(fixture) }
}

t.test('a version that becomes the latest behind a walk is met', async (t) => {
  const { fixture, walk, promoted } = await beginAndPromote()
  const { store, newest } = fixture
  // It goes down again, to where the walk has not been yet, and up once more.
  await store.remove(keyOf(1), newest[1]!)
  await store.put(keyOf(1), 'third')
  const seen = await walkOn(walk)
  t.ok(seen.has(promoted))
  for (let index = 2; index < KEYS; index += 1)
    if (!seen.has(await uidOf(fixture, index))) t.equal(index, 'seen')
  t.ok(walk.leftNothing)
})

t.test('so many come up that nobody remembers: all is walked again', async (t) => {
  const { fixture, walk, promoted } = await beginAndPromote()
  await promoteOften(fixture)
  t.ok((await walkOn(walk)).has(promoted))
  t.ok(walk.leftNothing)
  t.ok(walk.counts.blobs > 2 * KEYS * 1.5)
})

t.test('when that happens twice the pass vouches for nothing', async (t) => {
  const fixture = await openStore()
  const walk = begin(fixture)
  const scanBlobs = fixture.partition.scanBlobs.bind(fixture.partition)
  fixture.partition.scanBlobs = async (after, limit) => {
    if (after === undefined) await promoteOften(fixture)
    return await scanBlobs(after, limit)
  }
  await walkOn(walk)
  t.notOk(walk.leftNothing)
})

t.test('a walk that another process began looks at the partition again', async (t) => {
  const fixture = await openStore()
  const before = begin(fixture)
  await before.next(64)
  await before.next(1)
  const { after } = before.position
  t.ok(after, 'it is in the middle')
  // Before the restart, and so nobody remembers it.
  const promoted = await promoteFirst(fixture)
  const walk = begin(fixture, { ...before.position })
  const position = walk.position
  t.ok((await walkOn(walk)).has(promoted))
  t.ok(walk.leftNothing)

  const twice = begin(fixture, { ...position, again: true })
  await walkOn(twice)
  t.notOk(twice.leftNothing, 'it does so once; after another restart it says that it does not know')
})

/** More versions become the latest than a partition remembers. */
async function promoteOften({ store }: Fixture): Promise<void> {
  for (let count = 0; count < 1100; count += 1) {
    const key = `other ${count % 7}`
    await store.put(key, 'below')
    const put = await store.put(key, 'above')
    if (put.kind === 'done') await store.remove(key, put.version.versionId)
  }
}
