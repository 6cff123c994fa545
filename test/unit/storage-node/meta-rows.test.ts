// Rows in a real LevelDB: checksums, markers, and damage that LevelDB does not see.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { checkRows, noteClosed, noteServing } from '../../../src/storage-node/meta-rows/check.ts'
import { readManifest } from '../../../src/storage-node/meta-rows/manifest.ts'
import { openRows, openRowsLevel } from '../../../src/storage-node/meta-rows/open.ts'
import { findTableTrouble, tablesIn } from '../../../src/storage-node/meta-rows/tables.ts'
import type { MetaDrive } from '../../../src/storage-node/metalog/meta-drive.ts'
import { Seeded } from '../../support/seeded.ts'

await prepareDigests()
const world = realWorld()
const INCARNATION = '00000000000000aa'

async function newDrive(test: Test): Promise<MetaDrive> {
  const path = await mkdtemp(join(tmpdir(), 'meta-rows-'))
  test.teardown(() => rm(path, { recursive: true, force: true }))
  return {
    id: 1,
    path,
    failure: undefined,
    run: (operation) => operation(),
    syncFile: (file) => file.sync(),
    gather: () => Promise.resolve(),
    writeThrough: (file, buffers, position) => file.write(buffers, position),
    syncDirectory: (directory) => world.disk.syncDirectory(directory),
    fail: () => {},
    onFailure: () => () => {},
  }
}

async function open(drive: MetaDrive) {
  const parts = { world, drive, openLevel: openRowsLevel }
  return openRows(parts, await checkRows(parts), { keepDamaged: false, replaceUnopened: true })
}
const put = (key: string, value: string) => ({ key: Buffer.from(key), value: Buffer.from(value) })
const status = (sequence: number) => ({
  incarnation: INCARNATION,
  applied: { epoch: 1, sequence },
})

/** A closed LevelDB with a few tables. */
async function filledDrive(test: Test): Promise<{ drive: MetaDrive; directory: string }> {
  const drive = await newDrive(test)
  const { rows } = await open(drive)
  for (let round = 0; round < 4; round += 1) {
    const batch = Array.from({ length: 200 }, (_, index) =>
      put(`key${index}`, `${round}`.repeat(200)),
    )
    await rows.apply(0, status(round), [batch])
    await rows.flush()
  }
  await rows.close()
  return { drive, directory: join(drive.path, 'meta.db') }
}

t.test('rows of partitions do not mix', async (t) => {
  const { rows, verdict } = await open(await newDrive(t))
  t.same(verdict, { kind: 'whole' })
  await rows.apply(1, status(1), [[put('a', '1'), put('b', '2')]])
  await rows.apply(2, status(7), [[put('a', 'other')]])
  t.match(await rows.get(1, Buffer.from('a')), { kind: 'found', value: Buffer.from('1') })
  t.same(await rows.get(1, Buffer.from('c')), { kind: 'missing' })
  const cursor = rows.cursor(1, { from: new Uint8Array() })
  t.equal((await cursor.next(10)).length, 2)
  await cursor.close()
  t.same(
    await rows.statuses(),
    new Map([
      [1, status(1)],
      [2, status(7)],
    ]),
  )
  await rows.clear(1)
  t.same(await rows.get(1, Buffer.from('a')), { kind: 'missing' })
  t.same([...(await rows.statuses()).keys()], [2])
  t.match(await rows.get(2, Buffer.from('a')), { kind: 'found' })
  await rows.close()
})

t.test('a marker is found again', async (t) => {
  const drive = await newDrive(t)
  const first = await open(drive)
  t.equal(await first.rows.marker(), undefined)
  const marker = [
    {
      partition: 3,
      incarnation: INCARNATION,
      current: { epoch: 2, sequence: 9 },
      previous: { epoch: 1, sequence: 4 },
    },
  ]
  await first.rows.checkpoint(marker)
  await first.rows.close()
  const second = await open(drive)
  t.same(await second.rows.marker(), marker)
  await second.rows.close()
})

t.test('a value or a key that changed under LevelDB is rotten', async (t) => {
  const drive = await newDrive(t)
  const level = await openRowsLevel(join(drive.path, 'meta.db'), {
    writeBufferBytes: 65536,
    cacheBytes: 65536,
  })
  await level.close()
  const { rows } = await open(drive)
  await rows.apply(0, status(1), [[put('a', 'value'), put('b', 'value')]])
  await rows.close()
  const raw = await openRowsLevel(join(drive.path, 'meta.db'), {
    writeBufferBytes: 65536,
    cacheBytes: 65536,
  })
  const key = Buffer.from(`0000${Buffer.from('a').toString('hex')}`, 'hex')
  const stored = Buffer.from((await raw.get(key))!)
  await raw.put(Buffer.from(`0000${Buffer.from('c').toString('hex')}`, 'hex'), stored)
  stored[stored.length - 1]! ^= 1
  await raw.put(key, stored)
  await raw.close()
  const again = await open(drive)
  t.match(await again.rows.get(0, Buffer.from('a')), { kind: 'rotten' })
  t.match(await again.rows.get(0, Buffer.from('b')), { kind: 'found' })
  t.match(
    await again.rows.get(0, Buffer.from('c')),
    { kind: 'rotten' },
    'a value under another key',
  )
  await again.rows.close()
})

t.test('every flipped bit of a table or of the manifest is noticed', async (t) => {
  const { directory } = await filledDrive(t)
  const seeded = new Seeded(11)
  const names = await readdir(directory)
  const tables = tablesIn(names)
  t.ok(tables.length > 1)
  let missed = 0
  for (const name of tables) {
    const table = await readFile(join(directory, name))
    t.equal(findTableTrouble(table), undefined, `${name} is whole`)
    for (let round = 0; round < 300; round += 1) {
      const at = seeded.below(table.length)
      table[at]! ^= 1 << seeded.below(8)
      const bad = findTableTrouble(table)
      // Between the handles in the footer and its magic number there is only padding.
      if (bad === undefined && at < table.length - 48) missed += 1
      table.set(await readFile(join(directory, name)))
    }
  }
  t.equal(missed, 0)
  const manifest = await readFile(
    join(directory, names.find((name) => name.startsWith('MANIFEST'))!),
  )
  const whole = readManifest(manifest)
  t.equal(whole.kind, 'whole')
  if (whole.kind === 'whole') {
    t.same(
      [...whole.tables.keys()].map((number) => `${number}`.padStart(6, '0')).sort(),
      tables.map((name) => name.slice(0, 6)),
    )
  }
  t.equal(readManifest(manifest.subarray(0, manifest.length - 3)).kind, 'whole', 'a torn end')
  manifest[20]! ^= 4
  t.equal(readManifest(manifest).kind, 'damaged')
})

t.test('rotten or missing files are seen at the start, before LevelDB compacts them', async (t) => {
  for (const damage of ['flip', 'remove', 'current', 'manifest'] as const) {
    const { drive, directory } = await filledDrive(t)
    const [table] = tablesIn(await readdir(directory))
    const path = join(directory, table!)
    if (damage === 'remove') await rm(path)
    if (damage === 'flip') {
      const bytes = await readFile(path)
      bytes[100]! ^= 1
      await writeFile(path, bytes)
    }
    if (damage === 'current') await writeFile(join(directory, 'CURRENT'), 'nonsense')
    if (damage === 'manifest') {
      for (const name of await readdir(directory)) {
        if (name.startsWith('MANIFEST'))
          await writeFile(join(directory, name), 'nonsense, and a lot')
      }
    }
    const { rows, verdict } = await open(drive)
    t.equal(verdict.kind, 'replaced', damage)
    t.ok((await readdir(drive.path)).includes('meta.db.suspect'), 'for people')
    t.same(await rows.get(0, Buffer.from('key1')), { kind: 'missing' })
    await rows.close()
  }
})

t.test('it is known whether rows were closed', async (t) => {
  const drive = await newDrive(t)
  await noteServing({ world, drive })
  await noteServing({ world, drive })
  t.same(await readdir(drive.path), ['meta.serving'])
  await noteClosed({ world, drive })
  t.same(await readdir(drive.path), [])
})
