// Small files: what is not there, what is new, what takes the place of another.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import t, { type Test } from 'tap'
import {
  listIfThere,
  readIfThere,
  removeIfThere,
  replaceFile,
  writeNewFile,
} from '../../../src/kit/files.ts'
import { realWorld } from '../../../src/kit/world.ts'

const world = realWorld()
const bytes = Buffer.from('what is in it')

t.test('what is not there is no error, and all else is', async (t) => {
  const directory = await newDirectory(t)
  t.equal(await readIfThere(world, `${directory}/none`), undefined)
  t.same(await listIfThere(world, `${directory}/none`), [])
  t.equal(await removeIfThere(world, `${directory}/none`), false)
  await writeNewFile(world, { path: `${directory}/one`, bytes })
  t.same(await readIfThere(world, `${directory}/one`), bytes)
  t.same(await listIfThere(world, directory), ['one'])
  await t.rejects(readIfThere(world, directory), { code: 'EISDIR' })
  t.same(await listIfThere(world, `${directory}/one`), [], 'a file is no directory')
  t.equal(await removeIfThere(world, `${directory}/one`), true)
  t.same(await listIfThere(world, directory), [])
})

t.test('a new file takes the place of no other', async (t) => {
  const directory = await newDirectory(t)
  const path = `${directory}/one`
  await writeNewFile(world, { path, bytes, permissions: 0o600 })
  t.equal((await world.disk.stat(path))?.permissions, 0o600)
  await t.rejects(writeNewFile(world, { path, bytes: Buffer.from('else') }), { code: 'EEXIST' })
  t.same(await readIfThere(world, path), bytes)
})

t.test('a file is replaced whole, whatever draft a crash left', async (t) => {
  const directory = await newDirectory(t)
  const path = `${directory}/one`
  const draft = `${directory}/one.tmp`
  await writeFile(draft, 'a longer draft that a crash left behind', { mode: 0o644 })
  await replaceFile(world, { path, draft, bytes, permissions: 0o600 })
  t.same(await readIfThere(world, path), bytes)
  t.equal((await world.disk.stat(path))?.permissions, 0o600, 'not those of the old draft')
  await replaceFile(world, { path, draft, bytes: Buffer.from('short') })
  t.same(await readIfThere(world, path), Buffer.from('short'))
  t.same(await listIfThere(world, directory), ['one'])
})

async function newDirectory(t: Test): Promise<string> {
  const directory = await mkdtemp(`${tmpdir()}/kintsugi-files-`)
  t.teardown(() => rm(directory, { recursive: true }))
  return directory
}
