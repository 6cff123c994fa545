// s3cmd against a real store over http and https.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { client, skipWithout } from './commands.ts'
import { BODIES, BUCKET, doJob, type JobClient, type Listed, md5 } from './job.ts'
import { SCHEMES, type Store, startStore, TEST_MS } from './store.ts'

const URI = `s3://${BUCKET}`

t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  const skip = skipWithout(['s3cmd'])
  t.test(`s3cmd over ${scheme}`, { timeout: TEST_MS, skip }, async (t) => {
    const store = await startStore(t, scheme)
    await doJob(t, s3cmdOf(t, store), store.scratch)
  })
}

function s3cmdOf(t: Test, store: Store): JobClient {
  const target = join(store.scratch, 'back')
  const command = client(t, 's3cmd', store.environment)
  const config = ['--config', writeConfig(store), '--no-progress']
  const s3cmd = (...args: string[]): Promise<string> => command(...config, ...args)
  return {
    makeBucket: () => s3cmd('mb', URI),
    removeBucket: () => s3cmd('rb', URI),
    write: (key, file) => s3cmd('put', file, `${URI}/${key}`),
    remove: (keys) => s3cmd('del', ...keys.map((key) => `${URI}/${key}`)),
    async buckets() {
      return [...(await s3cmd('ls')).matchAll(/s3:\/\/(\S+)/g)].map(([, name]) => name!)
    },
    async read(key) {
      await s3cmd('get', '--force', `${URI}/${key}`, target)
      return readFileSync(target)
    },
    // It asks for a range when it continues, from there to the end.
    async readRange(key, first, count) {
      writeFileSync(target, BODIES.get(key)!.subarray(0, first))
      await s3cmd('get', '--continue', `${URI}/${key}`, target)
      return readFileSync(target).subarray(first, first + count)
    },
    async list(prefix) {
      const lines = await s3cmd('ls', '--recursive', '--list-md5', `${URI}/${prefix}`)
      return lines.split('\n').filter(Boolean).map(toListed)
    },
    // It keeps the MD5 of what it sends in parts as metadata.
    etagOf: md5,
  }
}

/** `2026-01-31 12:00   100  <md5>  s3://job/small` */
function toListed(line: string): Listed {
  const [, bytes, etag, key] = /^\S+ \S+\s+(\d+)\s+(\w+)\s+s3:\/\/[^/]+\/(.*)$/.exec(line) ?? []
  return { key: key ?? line, bytes: Number(bytes), etag: etag ?? '' }
}

function writeConfig({ endpoint, environment, caFile, scratch }: Store): string {
  const { host, protocol } = new URL(endpoint)
  const path = join(scratch, 's3cfg')
  const settings = {
    access_key: environment.AWS_ACCESS_KEY_ID,
    secret_key: environment.AWS_SECRET_ACCESS_KEY,
    host_base: host,
    host_bucket: host,
    use_https: protocol === 'https:' ? 'True' : 'False',
    ...(caFile ? { ca_certs_file: caFile } : {}),
    multipart_chunk_size_mb: '5',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  writeFileSync(path, ['[default]', ...lines, ''].join('\n'))
  return path
}
