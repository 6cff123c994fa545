// restic against a real store over http and https: backup, check of every byte, restore, and nothing left behind.
import { createHash } from 'node:crypto'
import { appendFileSync, mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import t, { type Test } from 'tap'
import { type Client, client, skipWithout } from './commands.ts'
import { hashTree, MEBIBYTE, writeSample, writeTree } from './sample-files.ts'
import { sdkOf } from './sdk-js.ts'
import { SCHEMES, type Store, startStore, TEST_MS } from './store.ts'

const FILES = 100
const Bucket = 'backups'

t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  const skip = skipWithout(['restic'])
  t.test(`restic over ${scheme}`, { timeout: TEST_MS, skip }, async (t) => {
    const store = await startStore(t, scheme)
    const tree = join(store.scratch, 'tree')
    mkdirSync(tree)
    writeTree(tree, FILES)
    await writeSample(tree, 'odd/a b/é+%=&.bin', 100_000)
    await writeSample(tree, 'big', 20 * MEBIBYTE + 5)
    const scene = { store, tree, restic: resticOf(t, store) }
    await scene.restic('init')
    await t.test('backs up and restores', (t) => restores(t, scene))
    await t.test('a second backup sends what is new', (t) => addsLittle(t, scene))
    await t.test('what is forgotten is gone', (t) => forgets(t, scene))
  })
}

interface Scene {
  store: Store
  tree: string
  restic: Client
}

/** Nothing is cached, and packs are larger than any buffer. */
function resticOf(t: Test, { endpoint, environment, caFile }: Store): Client {
  const restic = client(t, 'restic', {
    ...environment,
    RESTIC_REPOSITORY: `s3:${endpoint}/${Bucket}`,
    RESTIC_PASSWORD: 'not-a-secret-outside-of-this-test',
  })
  const trust = caFile ? ['--cacert', caFile] : []
  return (...args) => restic('--no-cache', '--pack-size', '64', ...trust, ...args)
}

async function restores(t: Test, { store, tree, restic }: Scene): Promise<void> {
  const summary = await backup(restic, tree)
  t.equal(summary.files_new, FILES + 2, 'every file is backed up')
  t.ok(summary.data_added > 20 * MEBIBYTE, 'and sent')
  const packs = await namesOf(store, 'data/')
  t.ok(packs.length > 0, 'there are packs')
  for (const pack of packs) t.equal(await sha256Of(store, pack), basename(pack), `bytes of ${pack}`)
  await restic('check', '--read-data')
  const target = join(store.scratch, 'restored')
  await restic('restore', 'latest', '--target', target)
  t.same(await hashTree(join(target, tree)), await hashTree(tree), 'bytes of every file')
}

async function addsLittle(t: Test, { store, tree, restic }: Scene): Promise<void> {
  appendFileSync(join(tree, 'odd/a b/é+%=&.bin'), 'more')
  const summary = await backup(restic, tree)
  t.equal(summary.files_changed, 1, 'one file has changed')
  t.ok(summary.data_added < 2 * MEBIBYTE, `${summary.data_added} bytes were sent`)
  const snapshots: unknown[] = JSON.parse(await restic('snapshots', '--json'))
  t.equal(snapshots.length, 2, 'both are listed')
  t.equal((await namesOf(store, 'snapshots/')).length, 2, 'and are objects')
}

async function forgets(t: Test, { store, restic }: Scene): Promise<void> {
  const snapshots: { id: string }[] = JSON.parse(await restic('snapshots', '--json'))
  await restic('forget', '--prune', ...snapshots.map(({ id }) => id))
  t.same(
    JSON.parse((await restic('snapshots', '--json')) || 'null') ?? [],
    [],
    'no snapshot is left',
  )
  t.equal((await restic('list', 'packs')).trim(), '', 'and no pack')
  for (const prefix of ['data/', 'snapshots/', 'locks/']) {
    t.same(await namesOf(store, prefix), [], `no object below ${prefix}`)
  }
}

/** The last line that `restic backup --json` prints. */
interface Summary {
  files_new: number
  files_changed: number
  data_added: number
}

async function backup(restic: Client, tree: string): Promise<Summary> {
  const lines = (await restic('backup', '--json', tree)).trim().split('\n')
  return JSON.parse(lines.at(-1)!)
}

/** The objects that are in the bucket, as a witness sees it. */
async function namesOf(store: Store, prefix: string): Promise<string[]> {
  const s3 = sdkOf(store)
  const listed = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }))
  s3.destroy()
  return (listed.Contents ?? []).map(({ Key }) => Key!)
}

/** What restic calls its objects by. */
async function sha256Of(store: Store, Key: string): Promise<string> {
  const s3 = sdkOf(store)
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }))
  const hash = createHash('sha256').update(await Body!.transformToByteArray())
  s3.destroy()
  return hash.digest('hex')
}
