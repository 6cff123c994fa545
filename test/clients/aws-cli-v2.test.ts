// aws-cli 2 against a real store over http and https. Version 1 is tested in aws-cli.test.ts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { client, findVersion, skipFor } from './commands.ts'
import { BUCKET, doJob, etagOf, type JobClient, type Listed } from './job.ts'
import { PART_BYTES } from './sample-files.ts'
import { SCHEMES, type Store, startStore, TEST_MS } from './store.ts'

const AWS = findVersion('aws', /^aws-cli\/2\./)

t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  const skip = skipFor(AWS ? [] : ['aws-cli 2'])
  t.test(`aws-cli 2 over ${scheme}`, { timeout: TEST_MS, skip }, async (t) => {
    const store = await startStore(t, scheme)
    await doJob(t, awsCli(t, store), store.scratch)
  })
}

function awsCli(t: Test, { endpoint, environment, scratch }: Store): JobClient {
  const command = client(t, AWS!, environment)
  // Before 2.13 it does not read the endpoint from the environment.
  const aws = (...args: string[]): Promise<string> => command('--endpoint-url', endpoint, ...args)
  const inBucket = ['--bucket', BUCKET]
  const uri = `s3://${BUCKET}`
  return {
    makeBucket: () => aws('s3', 'mb', uri),
    removeBucket: () => aws('s3', 'rb', uri),
    write: (key, file) => aws('s3', 'cp', file, `${uri}/${key}`),
    remove: (keys) => {
      const Objects = keys.map((Key) => ({ Key }))
      return aws('s3api', 'delete-objects', ...inBucket, '--delete', JSON.stringify({ Objects }))
    },
    async buckets() {
      return json(await aws('s3api', 'list-buckets', '--query', 'Buckets[].Name'))
    },
    async read(key) {
      const target = join(scratch, 'back')
      await aws('s3', 'cp', `${uri}/${key}`, target)
      return readFileSync(target)
    },
    async readRange(key, first, count) {
      const target = join(scratch, 'back')
      const range = `bytes=${first}-${first + count - 1}`
      const where = ['--bucket', BUCKET, '--key', key, '--range', range]
      await aws('s3api', 'get-object', ...where, target)
      return readFileSync(target)
    },
    async list(prefix) {
      const query = ['--query', 'Contents[].[Key, Size, ETag]']
      const listed = await aws(
        's3api',
        'list-objects-v2',
        ...inBucket,
        '--prefix',
        prefix,
        ...query,
      )
      return json<[string, number, string]>(listed).map(toListed)
    },
    async listByPages(count) {
      const pages = ['--page-size', `${count}`, '--query', 'Contents[].Key']
      return json(await aws('s3api', 'list-objects-v2', ...inBucket, ...pages))
    },
    etagOf: (body) => etagOf(body, PART_BYTES),
  }
}

/** What `--query` found; aws-cli says `null`, or nothing, for a list without entries. */
function json<Entry>(text: string): Entry[] {
  return JSON.parse(text || '[]') ?? []
}

function toListed([key, bytes, etag]: [string, number, string]): Listed {
  return { key, bytes, etag: etag.replaceAll('"', '') }
}
