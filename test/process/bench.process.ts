// kintsugi bench against a store that runs: what it prints, and that it leaves nothing behind.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { S3Client } from '../support/s3.ts'
import { startServer, TEST_KEYS } from '../support/server.ts'

const PROGRAM = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))

interface Ended {
  code: number
  stdout: string
  stderr: string
}

async function bench(...words: string[]): Promise<Ended> {
  try {
    const options = { env: { PATH: process.env.PATH }, timeout: 240_000 }
    const ended = await promisify(execFile)(process.execPath, [PROGRAM, 'bench', ...words], options)
    return { code: 0, ...ended }
  } catch (error) {
    return error as Ended
  }
}

t.test('a store is measured and left as it was', { timeout: 600_000 }, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-bench-'))
  const drives = [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
  const server = await startServer({ directories: drives })
  t.teardown(async () => {
    await server.stop()
    await rm(directory, { recursive: true })
  })
  const url = new URL(server.endpoint)
  url.username = TEST_KEYS.accessKeyId
  url.password = TEST_KEYS.secretAccessKey

  const loads = ['put-4k', 'ranges-128k', 'multipart', 'mixed']
  const asked = ['--loads', loads.join(','), '--seconds', '2', '--processes', '2']
  const { code, stdout, stderr } = await bench(url.href, ...asked, '--json')
  t.equal(code, 0, stderr)
  const results = JSON.parse(stdout) as Record<string, unknown>[]
  t.same(
    results.map(({ load }) => load),
    loads,
  )
  for (const result of results) {
    t.match(result, { endpoint: url.host, errors: 0 })
    for (const name of [
      'requests',
      'perSecond',
      'p50Ms',
      'p99Ms',
      'seconds',
      'generatorCpuSeconds',
    ])
      t.ok((result[name] as number) > 0, `${result.load}: ${name}`)
  }
  const client = new S3Client(server.endpoint)
  t.teardown(() => client.close())
  const listed = await client.send({ method: 'GET', path: '/' })
  t.notMatch(listed.body.toString(), /kintsugi-bench/, 'its buckets are gone')

  const shown = await bench(url.href, '--loads', 'head', '--seconds', '1')
  t.match(shown.stdout, /^load +store +rate/)
  t.match(shown.stdout, /HEAD +127\.0\.0\.1:\d+ +[\d,]+ requests\/s/)

  url.password = 'another'
  t.match(await bench(url.href, '--loads', 'head'), { code: 1, stderr: /SignatureDoesNotMatch/ })
})

t.test('a wrong command line is said', async (t) => {
  const refused: [words: string[], sentence: RegExp][] = [
    [['http://a:b@127.0.0.1:9'], /can not be measured: .*ECONNREFUSED/],
    [['http://a:b@127.0.0.1:9', '--loads', 'all'], /--loads all is none of put-4k/],
    [['http://a:b@127.0.0.1:9', '--seconds', '0'], /--seconds 0 is not a number/],
    [['http://a:b@127.0.0.1:9/bucket'], /has a path/],
    [['http://127.0.0.1:9'], /credentials are missing/],
    [[], /missing required argument/],
  ]
  for (const [words, sentence] of refused) {
    const { code, stderr } = await bench(...words)
    t.ok(code > 0)
    t.match(stderr, sentence)
  }
})
