// aws-cli, unmodified and with its defaults, against a real store over http and https.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Client, client, run, skipWithout } from './commands.ts'
import { etagOf, hashFile, hashTree, MEBIBYTE, writeSample, writeTree } from './sample-files.ts'
import { SCHEMES, type Store, startStore, TEST_MS } from './store.ts'

const SYNCED_FILES = 2_000
const BIG_BYTES = 200 * MEBIBYTE
const ODD_KEYS = ['a', 'a/', '/a', 'a//b', 'a/../b', '🏺 %2e+']

t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  t.test(
    `aws-cli over ${scheme}`,
    { timeout: TEST_MS, skip: skipWithout(['aws', 'curl']) },
    async (t) => {
      const store = await startStore(t, scheme)
      const scene = { store, big: await writeSample(store.scratch, 'big', BIG_BYTES) }
      await client(t, 'aws', store.environment)('s3', 'mb', 's3://photos')
      await t.test('cp carries files of any size', (t) => copiesFiles(t, scene))
      await t.test('cp reads and writes pipes', (t) => copiesPipes(t, scene))
      await t.test('sync carries odd names, once', (t) => syncs(t, scene))
      await t.test('mv leaves nothing behind', (t) => moves(t, scene))
      await t.test('presigned URLs open for anyone', (t) => presigns(t, scene))
      await t.test('odd keys are ordinary keys', (t) => keepsOddKeys(t, scene))
      await t.test('rm --recursive and rb empty the store', (t) => removes(t, scene))
    },
  )
}

interface Scene {
  store: Store
  /** A file of 200 MiB. */
  big: string
}

function awsOf(t: Test, { store }: Scene): Client {
  return client(t, 'aws', store.environment)
}

async function copiesFiles(t: Test, scene: Scene): Promise<void> {
  const aws = awsOf(t, scene)
  const { scratch } = scene.store
  const files = [
    { key: 'empty', path: await writeSample(scratch, 'empty', 0), bytes: 0 },
    { key: 'small', path: await writeSample(scratch, 'small', 100_000), bytes: 100_000 },
    { key: 'big', path: scene.big, bytes: BIG_BYTES },
  ]
  for (const { key, path, bytes } of files) {
    await aws('s3', 'cp', path, `s3://photos/${key}`)
    t.equal(await etag(aws, key), await etagOf(path, bytes), `ETag of ${key}`)
    await aws('s3', 'cp', `s3://photos/${key}`, join(scratch, 'back'))
    t.equal(await hashFile(join(scratch, 'back')), await hashFile(path), `bytes of ${key}`)
  }
  await aws('s3', 'cp', 's3://photos/big', 's3://photos/big-copy')
  t.equal(
    await etag(aws, 'big-copy'),
    await etagOf(scene.big, BIG_BYTES),
    'ETag of a copy in parts',
  )
  const list = await aws('s3', 'ls', 's3://photos/')
  for (const { key, bytes } of files) t.match(list, new RegExp(` ${bytes} ${key}\n`))
}

async function etag(aws: Client, key: string): Promise<string> {
  const head = await aws('s3api', 'head-object', '--bucket', 'photos', '--key', key)
  return JSON.parse(head || '{}').ETag?.replaceAll('"', '')
}

async function copiesPipes(t: Test, scene: Scene): Promise<void> {
  const { environment, scratch } = scene.store
  const target = join(scratch, 'from-pipe')
  const put = await run('aws', ['s3', 'cp', '-', 's3://photos/piped'], {
    environment,
    stdinFile: scene.big,
  })
  t.equal(put.code, 0, `aws s3 cp - s3://photos/piped ${put.stderr}`)
  const got = await run('aws', ['s3', 'cp', 's3://photos/piped', '-'], {
    environment,
    stdoutFile: target,
  })
  t.equal(got.code, 0, `aws s3 cp s3://photos/piped - ${got.stderr}`)
  t.equal(await hashFile(target), await hashFile(scene.big), 'bytes through pipes')
}

async function syncs(t: Test, scene: Scene): Promise<void> {
  const aws = awsOf(t, scene)
  const tree = join(scene.store.scratch, 'tree')
  const back = join(scene.store.scratch, 'tree-back')
  mkdirSync(tree)
  const paths = writeTree(tree, SYNCED_FILES)
  await aws('s3', 'sync', '--only-show-errors', tree, 's3://photos/tree')
  t.equal(await aws('s3', 'sync', tree, 's3://photos/tree'), '', 'a second sync sends nothing')

  const list = await aws(
    's3api',
    'list-objects-v2',
    '--bucket',
    'photos',
    '--prefix',
    'tree/',
    '--query',
    'Contents[].Key',
  )
  t.same(
    JSON.parse(list || '[]'),
    paths.map((path) => `tree/${path}`).sort(byBytes),
    'the listing is complete and in order',
  )

  await aws('s3', 'sync', '--only-show-errors', 's3://photos/tree', back)
  t.same(await hashTree(back), await hashTree(tree), 'the tree that came back is equal')
  t.equal(await aws('s3', 'sync', 's3://photos/tree', back), '', 'a second sync fetches nothing')
}

function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

async function moves(t: Test, scene: Scene): Promise<void> {
  const aws = awsOf(t, scene)
  const source = await writeSample(scene.store.scratch, 'wanderer', 50_000)
  const hash = await hashFile(source)
  const target = join(scene.store.scratch, 'home')
  await aws('s3', 'mv', source, 's3://photos/moving/a +é.bin')
  await aws('s3', 'mv', 's3://photos/moving/a +é.bin', 's3://photos/moving/b.bin')
  t.match(await aws('s3', 'ls', '--recursive', 's3://photos/moving/'), / 50000 moving\/b\.bin\n$/)
  await aws('s3', 'mv', 's3://photos/moving/b.bin', target)
  t.equal(await hashFile(target), hash, 'bytes after three moves')
  const left = await run('aws', ['s3', 'ls', 's3://photos/moving/'], scene.store)
  t.equal(left.stdout, '', 'nothing is left behind')
}

async function presigns(t: Test, scene: Scene): Promise<void> {
  const aws = awsOf(t, scene)
  const versions = { AWSAccessKeyId: [], 'X-Amz-Signature': ['--region', 'eu-central-1'] }
  for (const [mark, region] of Object.entries(versions)) {
    const url = (await aws('s3', 'presign', 's3://photos/small', ...region)).trim()
    t.match(url, mark, `the URL is signed with ${mark}`)
    const target = join(scene.store.scratch, 'fetched')
    await fetchUrl(t, scene, ['--fail', '--output', target, url])
    t.equal(
      await hashFile(target),
      await hashFile(join(scene.store.scratch, 'small')),
      'bytes by URL',
    )
    const forged = url.replace('/small?', '/big?')
    t.equal(
      await fetchUrl(t, scene, ['--write-out', '%{http_code}', '--output', '/dev/null', forged]),
      '403',
    )
  }
}

function fetchUrl(t: Test, { store }: Scene, args: readonly string[]): Promise<string> {
  const trust = store.caFile ? ['--cacert', store.caFile] : []
  return client(t, 'curl', store.environment)('--silent', '--show-error', ...trust, ...args)
}

async function keepsOddKeys(t: Test, scene: Scene): Promise<void> {
  const aws = awsOf(t, scene)
  const target = join(scene.store.scratch, 'odd')
  await aws('s3', 'mb', 's3://oddities')
  for (const key of ODD_KEYS) {
    const body = await writeSample(scene.store.scratch, 'odd-body', key.length)
    await aws(
      's3api',
      'put-object',
      '--bucket',
      'oddities',
      '--key',
      key,
      '--body',
      body,
      '--metadata',
      `spelled=${encodeURIComponent(key)}`,
    )
  }
  for (const key of ODD_KEYS) {
    const got = JSON.parse(
      (await aws('s3api', 'get-object', '--bucket', 'oddities', '--key', key, target)) || '{}',
    )
    t.equal(got.Metadata?.spelled, encodeURIComponent(key), `${key} is itself`)
  }
  const list = await aws(
    's3api',
    'list-objects-v2',
    '--bucket',
    'oddities',
    '--query',
    'Contents[].Key',
  )
  t.same(JSON.parse(list || '[]'), [...ODD_KEYS].sort(byBytes), 'all are listed, in order')
}

async function removes(t: Test, scene: Scene): Promise<void> {
  const aws = awsOf(t, scene)
  for (const bucket of ['photos', 'oddities']) {
    await aws('s3', 'rm', '--recursive', '--only-show-errors', `s3://${bucket}`)
    // Only an empty bucket can be removed.
    await aws('s3', 'rb', `s3://${bucket}`)
  }
  t.equal(await aws('s3', 'ls'), '', 'no bucket is left')
}
