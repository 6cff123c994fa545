// rclone does the job of all clients, with its defaults but for smaller parts and pages. Moving with it: rclone.test.ts.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { client, run, skipWithout } from './commands.ts'
import { BUCKET, doJob, type JobClient, md5 } from './job.ts'
import { rcloneRemote } from './rclone.ts'
import { SCHEMES, type Store, startStore, TEST_MS } from './store.ts'

const SETTINGS = {
  RCLONE_S3_UPLOAD_CUTOFF: '5Mi',
  RCLONE_S3_CHUNK_SIZE: '5Mi',
  RCLONE_S3_LIST_CHUNK: '3',
}

t.setTimeout(SCHEMES.length * TEST_MS)
for (const scheme of SCHEMES) {
  const skip = skipWithout(['rclone'])
  t.test(`rclone over ${scheme}`, { timeout: TEST_MS, skip }, async (t) => {
    const store = await startStore(t, scheme)
    await doJob(t, rcloneOf(t, store), store.scratch)
  })
}

/** An entry of `rclone lsjson --hash`. */
interface Entry {
  Path: string
  Size: number
  Hashes: { md5: string }
}

function rcloneOf(t: Test, store: Store): JobClient {
  const { scratch } = store
  // It has its own way to trust, and refuses to start where there is that of the AWS SDK.
  const trust = store.caFile ? { RCLONE_CA_CERT: store.caFile, AWS_CA_BUNDLE: undefined } : {}
  const environment = { ...store.environment, ...rcloneRemote('JOB', store), ...SETTINGS, ...trust }
  const rclone = client(t, 'rclone', environment)
  const list = async (...args: string[]): Promise<Entry[]> =>
    JSON.parse(await rclone('lsjson', '--recursive', '--files-only', ...args))
  return {
    makeBucket: () => rclone('mkdir', `job:${BUCKET}`),
    removeBucket: () => rclone('rmdir', `job:${BUCKET}`),
    write: (key, file) => rclone('copyto', file, `job:${BUCKET}/${key}`),
    async remove(keys) {
      const names = join(scratch, 'names')
      writeFileSync(names, keys.join('\n'))
      await rclone('delete', '--files-from-raw', names, `job:${BUCKET}`)
    },
    async buckets() {
      const entries: Entry[] = JSON.parse(await rclone('lsjson', 'job:'))
      return entries.map(({ Path }) => Path)
    },
    async read(key) {
      const target = join(scratch, 'back')
      await rclone('copyto', `job:${BUCKET}/${key}`, target)
      return readFileSync(target)
    },
    async readRange(key, first, count) {
      const stdoutFile = join(scratch, 'range')
      const range = ['--offset', `${first}`, '--count', `${count}`]
      const args = ['cat', ...range, `job:${BUCKET}/${key}`]
      t.equal((await run('rclone', args, { environment, stdoutFile })).code, 0, args.join(' '))
      return readFileSync(stdoutFile)
    },
    async list(prefix) {
      const entries = await list('--hash', `job:${BUCKET}/${prefix}`)
      const listed = entries.map(({ Path, Size, Hashes }) => {
        return { key: `${prefix}${Path}`, bytes: Size, etag: Hashes.md5 }
      })
      return listed.sort((left, right) => (left.key < right.key ? -1 : 1))
    },
    async listByPages() {
      return (await list('--fast-list', `job:${BUCKET}`)).map(({ Path }) => Path).sort()
    },
    // It keeps the MD5 of what it sends in parts as metadata.
    etagOf: md5,
  }
}
