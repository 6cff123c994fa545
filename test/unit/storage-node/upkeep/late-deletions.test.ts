// Copies that moved away are deleted when nobody can be reading them, but not what another leader has put there again meanwhile.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/prepare.ts'
import type { BlobReference } from '../../../../src/metadata/contract.ts'
import type { OldCopy } from '../../../../src/storage-node/upkeep/left-behind.ts'
import { UpkeepFixture } from './upkeep-fixture.ts'

await prepareDigests()

/** An object of which a copy of one shard lies on a drive that the row does not name. */
async function strayCopy() {
  const fixture = await UpkeepFixture.open(8)
  await fixture.put('photos/cat', Buffer.alloc(600_000, 7))
  const reference = await fixture.reference('photos/cat')
  const { blob } = reference
  const { node } = fixture.store
  const driveId = [1, 2, 3, 4, 5, 6, 7, 8].find((id) => !blob.drives.includes(id))!
  const id = { uid: blob.uid, part: blob.part, slot: 0 }
  const writeThere = async (): Promise<void> => {
    const opened = await node.openShard(blob.drives[0]!, id)
    if (opened.kind !== 'found') throw new Error(opened.kind)
    const described = await opened.reader.describe()
    if (described.kind !== 'found') throw new Error(described.kind)
    const writer = await node.beginShard(driveId, described.description, 'move')
    const cell = Buffer.alloc(described.description.cellBytes)
    const read = await opened.reader.readCell(0, cell)
    if (read.kind !== 'found') throw new Error(read.kind)
    await writer.write(cell.subarray(0, read.bytes))
    await writer.commit()
    await opened.reader.close()
  }
  const isThere = async (): Promise<boolean> => {
    const opened = await node.openShard(driveId, id)
    if (opened.kind === 'found') await opened.reader.close()
    return opened.kind === 'found'
  }
  await writeThere()
  const clear = async (rowIs: () => Promise<BlobReference | undefined>): Promise<void> => {
    const copy: OldCopy = { driveId, id, partition: 0, reference }
    const partitions = [{ findBlob: rowIs }]
    fixture.leftBehind.add(copy, 0)
    await fixture.leftBehind.clear(10, 1_000, { ...fixture.healerParts, partitions })
  }
  return { fixture, reference, driveId, writeThere, isThere, clear }
}

t.test('a copy that no row names goes', async (t) => {
  const { fixture, reference, isThere, clear } = await strayCopy()
  await clear(async () => reference)
  t.notOk(await isThere())
  t.equal(fixture.leftBehind.size, 0)
})

t.test('an order that comes late deletes nothing that was put there again', async (t) => {
  const { fixture, reference, driveId, writeThere, isThere, clear } = await strayCopy()
  // The row was asked; before the order arrives another node leads, moves the shard back, and names it.
  await clear(async () => {
    await writeThere()
    return reference
  })
  t.ok(await isThere())
  t.equal(fixture.leftBehind.size, 1, 'it is looked at again')
  const drives = reference.blob.drives.map((id, slot) => (slot === 0 ? driveId : id))
  await clear(async () => ({ ...reference, blob: { ...reference.blob, drives } }))
  t.ok(await isThere())
  t.equal(fixture.leftBehind.size, 0, 'it is named there')
})
