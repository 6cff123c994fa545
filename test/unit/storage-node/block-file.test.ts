// Bytes that go to the disk in whole blocks are those that were written, whatever they are cut into.
import t from 'tap'
import { DIRECT_BLOCK_BYTES, type DiskFile, realWorld } from '../../../src/kit/world.ts'
import { blockPadding, canWriteBlocks, inBlocks } from '../../../src/storage-node/block-file.ts'
import { ForgetfulDisk } from '../../crash/forgetful-disk.ts'
import { Seeded } from '../../support/seeded.ts'

/** A disk that takes nothing but whole blocks from memory that lies as they do. */
async function newFile(): Promise<{ disk: ForgetfulDisk; file: DiskFile }> {
  const disk = new ForgetfulDisk({ isThrough: true })
  return { disk, file: inBlocks(await disk.openDirect!('/file')) }
}

function cut(bytes: Uint8Array, at: number[]): Uint8Array[] {
  const ends = [...at.toSorted((left, right) => left - right), bytes.length]
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}

t.test('a header that comes last, and runs of any length before it', async (t) => {
  for (let seed = 1; seed <= 150; seed += 1) {
    const random = new Seeded(seed)
    const { disk, file } = await newFile()
    const record = random.bytes(1 + random.below(seed % 10 === 0 ? 1_500_000 : 40_000))
    const headerBytes = Math.min(record.length, random.below(seed % 2 === 0 ? 300 : 9_000))
    const wanted = Buffer.concat([record, blockPadding(record.length)])
    for (let at = headerBytes; at < wanted.length; ) {
      const run = wanted.subarray(at, at + 1 + random.below(2 + record.length / 2))
      await file.write(cut(run, [random.below(run.length), random.below(run.length)]), at)
      at += run.length
    }
    if (headerBytes > 0) await file.write([wanted.subarray(0, headerBytes)], 0)
    await file.sync()
    if (Buffer.compare(disk.bytesOf('/file'), wanted) !== 0) t.fail(`seed ${seed}`)
  }
})

t.test('what is synced is whole, and nothing is written twice', async (t) => {
  const { file } = await newFile()
  await file.write([new Uint8Array(5_000)], 0)
  await t.rejects(file.sync(), /whole blocks/)
  await t.rejects(file.write([new Uint8Array(4_000)], 4_500), /written once/)
})

t.test('a system that can do so writes and finds what was written', async (t) => {
  const { disk } = realWorld()
  const path = t.testdir()
  if (!(await canWriteBlocks(disk, `${path}/probe`))) return t.pass('not here')
  const file = inBlocks(await disk.openDirect!(`${path}/file`))
  const bytes = Buffer.alloc(1_000_000, 'abcdefg')
  await file.write([bytes.subarray(100), blockPadding(bytes.length)], 100)
  await file.write([bytes.subarray(0, 100)], 0)
  await file.sync()
  await file.close()
  const found = await disk.readFile(`${path}/file`)
  t.equal(Buffer.compare(found.subarray(0, bytes.length), bytes), 0)
  t.equal(found.length % DIRECT_BLOCK_BYTES, 0)
})

t.test(
  'a file system that refuses is not asked again, and trouble of another kind is told',
  async (t) => {
    const { disk } = await newFile()
    t.ok(await canWriteBlocks(disk, '/here'))
    t.notOk(await canWriteBlocks(new ForgetfulDisk(), '/here'))
    disk.fault = ({ kind }) => (kind === 'write' ? 'EINVAL' : undefined)
    t.notOk(await canWriteBlocks(disk, '/there'))
    disk.fault = ({ kind }) => (kind === 'create' ? 'EINVAL' : undefined)
    t.notOk(await canWriteBlocks(disk, '/anywhere'))
    let creations = 0
    disk.fault = ({ kind }) => {
      if (kind === 'create') creations += 1
      return kind === 'create' && creations === 1 ? 'ENOSYS' : undefined
    }
    t.notOk(await canWriteBlocks(disk, '/in-other-words'), 'what goes without is written without')
    disk.fault = () => 'EIO'
    await t.rejects(canWriteBlocks(disk, '/elsewhere'), { code: 'EIO' })
  },
)
