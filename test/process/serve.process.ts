// kintsugi serve as a process: what it prints, how it ends, what it makes of the directories it is given.
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { loseDirectory } from '../support/lose-directory.ts'
import { S3Client } from '../support/s3.ts'
import { DidNotStart, type ServerOptions, startServer, type TestServer } from '../support/server.ts'

/** That nobody has while a test does not. */
const FREE_PORT = '9719'

/** Six drive directories that do not exist yet. */
function sixUnder(directory: string): string[] {
  return [1, 2, 3, 4, 5, 6].map((number) => join(directory, `drive${number}`))
}

async function refusal(options: ServerOptions): Promise<DidNotStart> {
  const outcome = await startServer(options).catch((error: unknown) => error)
  if (outcome instanceof DidNotStart) return outcome
  await (outcome as TestServer).kill?.()
  throw new Error(`it started, or: ${outcome}`)
}

t.test(
  'without arguments: six drives under ./data, a key of its own, kept where only its owner reads',
  async (t) => {
    const cwd = t.testdir()
    const noKeys = { KINTSUGI_ROOT_ACCESS_KEY_ID: '', KINTSUGI_ROOT_SECRET_ACCESS_KEY: '' }
    const server = await startServer({ cwd, environment: noKeys })
    t.same((await readdir(join(cwd, 'data'))).sort(), [
      'drive1',
      'drive2',
      'drive3',
      'drive4',
      'drive5',
      'drive6',
    ])
    const texts = await Promise.all(
      sixUnder(join(cwd, 'data')).map((drive) => readFile(join(drive, 'root-credentials'), 'utf8')),
    )
    t.equal(new Set(texts).size, 1, 'the same on every drive')
    const { mode } = await stat(join(cwd, 'data/drive1/root-credentials'))
    t.equal(mode & 0o777, 0o600)
    const accessKeyId = /aws_access_key_id = (\S+)/.exec(texts[0]!)![1]!
    const secretAccessKey = /aws_secret_access_key = (\S+)/.exec(texts[0]!)![1]!
    t.match(server.output(), accessKeyId, 'the access key is printed')
    t.notMatch(server.output() + server.log(), secretAccessKey, 'the secret is not')
    t.match(server.output(), /share a disk/)
    t.match(server.output(), /export AWS_/)
    t.match(server.output(), /s3 mb s3:\/\//)
    t.match(server.output(), /s3 cp /)
    const client = new S3Client(server.endpoint, { accessKeyId, secretAccessKey })
    t.equal((await client.send({ method: 'PUT', path: '/bucket' })).status, 200)
    t.equal((await client.put('bucket', 'k', Buffer.from('x'))).status, 200)
    t.equal(await server.stop(), 0)

    for (const drive of [2, 4]) await loseDirectory(join(cwd, `data/drive${drive}`))
    const again = await startServer({ cwd, environment: noKeys })
    t.match(again.output(), /Degraded: 2 of 6 drives are out/, 'it says so in one sentence')
    const same = new S3Client(again.endpoint, { accessKeyId, secretAccessKey })
    t.equal((await same.get('bucket', 'k')).body.toString(), 'x', 'the same key, the same bytes')
    const ready = await fetch(`${again.adminEndpoint}/health/ready`)
    t.match(await ready.json(), { status: 'degraded', degraded: [/2 of 6/] })
    t.match(
      await (await fetch(`${again.adminEndpoint}/metrics`)).text(),
      /kintsugi_drives\{state="out"\} 2/,
    )
    t.equal((await fetch(`${again.adminEndpoint}/health/live`)).status, 200)
    t.equal(await again.stop(), 0)
    for (const each of [client, same]) each.close()
  },
)

t.test(
  'drives are known by their marker, in any order and place; empty ones are never formatted',
  async (t) => {
    const directory = t.testdir()
    const directories = sixUnder(directory)
    const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'one,two' } })
    const client = new S3Client(server.endpoint)
    const body = Buffer.alloc(700_000, 'kintsugi')
    t.equal((await client.put('one', 'k', body)).status, 200)
    t.equal(await server.stop(), 0)
    client.close()

    await rename(directories[0]!, join(directory, 'elsewhere'))
    await mkdir(directories[0]!)
    const moved = [...directories.slice(1).reverse(), join(directory, 'elsewhere')]
    const again = await startServer({ directories: moved })
    const second = new S3Client(again.endpoint)
    t.ok((await second.get('one', 'k')).body.equals(body))
    t.notMatch(again.output(), /Degraded/)
    t.equal(await again.stop(), 0)
    second.close()

    const found = await startServer({ directories })
    t.notMatch(found.output(), /Degraded/, 'what nobody names is where it was last')
    t.match(found.output(), join(directory, 'elsewhere'))
    t.equal(await found.stop(), 0)

    await rename(join(directory, 'elsewhere'), join(directory, 'hidden'))
    const withEmpty = await startServer({ directories })
    t.match(withEmpty.output(), /Degraded: 1 of 6/)
    t.match(withEmpty.log(), /it is empty, and no drive of the store: kintsugi drive add/)
    t.same(await readdir(directories[0]!), [], 'the empty directory is still empty')
    t.equal(await withEmpty.stop(), 0)
  },
)

t.test('the admin port is private unless --admin-address says otherwise', async (t) => {
  const cwd = t.testdir()
  const server = await startServer({ cwd, options: ['--address', '0.0.0.0'] })
  t.match(server.endpoint, /^http:\/\/0\.0\.0\.0:\d+$/)
  t.match(server.adminEndpoint, /^http:\/\/127\.0\.0\.1:\d+$/)
  const elsewhere = server.adminEndpoint.replace('127.0.0.1', '127.0.0.2')
  await t.rejects(fetch(`${elsewhere}/health/live`), 'nobody listens on another address')
  const port = /:(\d+)$/.exec(server.endpoint)![1]
  t.match(server.output(), `--endpoint-url http://127.0.0.1:${port} `, 'what can be asked')
  t.equal(await server.stop(), 0)

  const open = await startServer({ cwd, environment: { KINTSUGI_ADMIN_ADDRESS: '0.0.0.0' } })
  t.match(open.adminEndpoint, /^http:\/\/0\.0\.0\.0:\d+$/, 'what is bound is printed')
  const other = open.adminEndpoint.replace('0.0.0.0', '127.0.0.2')
  t.equal((await fetch(`${other}/health/live`)).status, 200)
  t.equal(await open.stop(), 0)
})

t.test('exit code 2: usage and configuration', async (t) => {
  const cwd = t.testdir({ 'bad.toml': 'prot = 1' })
  const wrong: ServerOptions[] = [
    { options: ['--nope'] },
    { options: ['--log-level', 'loud'] },
    { options: ['--code', '8+4'] },
    { options: ['--config', 'bad.toml'] },
    { options: ['--tls-cert', 'x.pem'] },
    { options: ['--tls-cert', 'gone.pem', '--tls-key', 'gone.pem'] },
    { directories: ['a', 'a'] },
    { options: ['--buckets', 'No_Bucket'] },
    { environment: { KINTSUGI_PORT: 'many' }, options: [] },
  ]
  for (const options of wrong) {
    const port = options.environment ? { bare: true } : {}
    const { exitCode, stderr } = await refusal({ cwd, ...options, ...port })
    t.equal(exitCode, 2, JSON.stringify(options))
    t.match(stderr, /^kintsugi: [^\n]+\n/m, 'one sentence')
  }
})

t.test('a start that fails leaves nothing of a new store behind', async (t) => {
  const cwd = t.testdir({ 'text.pem': 'no PEM' })
  const occupied = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => occupied.once('listening', resolve))
  const { port } = occupied.address() as { port: number }
  const taken = String(port)
  const wrong: [exitCode: number, options: string[]][] = [
    [3, ['--port', taken, '--admin-port', '0']],
    [3, ['--port', '0', '--admin-port', taken]],
    [3, ['--port', FREE_PORT, '--admin-port', FREE_PORT]],
    [2, ['--port', '0', '--admin-port', '0', '--address', '192.0.2.1']],
    [2, ['--port', '0', '--admin-port', '0', '--admin-address', '192.0.2.1']],
    [2, ['--port', '0', '--admin-port', '0', '--tls-cert', 'gone.pem', '--tls-key', 'gone.pem']],
    [2, ['--port', '0', '--admin-port', '0', '--tls-cert', 'text.pem', '--tls-key', 'text.pem']],
    [2, ['--port', '0', '--admin-port', '0', '--buckets', 'fine,No_Bucket']],
    [2, ['--port', '0', '--admin-port', '0', '--encryption-key-file', 'gone']],
    [2, ['--port', '0', '--admin-port', '0', '--encryption-key-file', 'text.pem']],
  ]
  for (const [expected, options] of wrong) {
    const { exitCode, stderr } = await refusal({ cwd, bare: true, options })
    t.equal(exitCode, expected, options.join(' '))
    t.match(stderr, /^kintsugi: [^\n]+\n$/, 'one sentence')
    t.same(await readdir(cwd), ['text.pem'], 'no directory was made')
  }
  occupied.close()
})

t.test('exit code 3: a port or a directory in use', async (t) => {
  const directory = t.testdir()
  const directories = sixUnder(directory)
  const server = await startServer({ directories })
  const { exitCode, stderr } = await refusal({ directories })
  t.equal(exitCode, 3)
  t.match(stderr, /in use by another process/)
  t.equal(await server.stop(), 0)

  const occupied = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => occupied.once('listening', resolve))
  const { port } = occupied.address() as { port: number }
  const taken = await refusal({ directories, options: ['--port', String(port)] })
  t.equal(taken.exitCode, 3)
  t.match(taken.stderr, new RegExp(`port ${port}`))
  occupied.close()
})

t.test('exit code 4: foreign drives and too many missing', async (t) => {
  const directory = t.testdir({ foreign: { 'notes.txt': 'mine' } })
  const foreign = await refusal({ directories: [join(directory, 'foreign')] })
  t.equal(foreign.exitCode, 4)
  t.match(foreign.stderr, /notes\.txt/)
  t.equal(await readFile(join(directory, 'foreign/notes.txt'), 'utf8'), 'mine')

  const directories = sixUnder(join(directory, 'a'))
  const others = sixUnder(join(directory, 'b'))
  for (const each of [directories, others])
    t.equal(await (await startServer({ directories: each })).stop(), 0)
  const mixed = await refusal({ directories: [...directories.slice(0, 5), others[5]!] })
  t.equal(mixed.exitCode, 4)
  t.match(mixed.stderr, /another store/)
  for (const lost of directories.slice(3)) await rename(lost, `${lost}-lost`)
  const few = await refusal({ directories: directories.slice(0, 3) })
  t.equal(few.exitCode, 4)
  t.match(few.stderr, /3 of 6 drives are missing/)
  await mkdir(directories[3]!)
  await mkdir(directories[4]!)
  await writeFile(join(directories[4]!, 'format.json'), '{')
  const unused = await refusal({ directories })
  t.equal(unused.exitCode, 4)
  t.match(unused.stderr, /a\/drive4: its directory is empty; /)
  t.match(
    unused.stderr,
    /a\/drive5: its directory can not be recognised: format.json is not JSON; /,
  )
  t.match(unused.stderr, /this directory is not used: it does not exist/, 'by the log')
  for (const wrong of directories.slice(3, 5)) await rm(wrong, { recursive: true })
  for (const lost of directories.slice(3)) await rename(`${lost}-lost`, lost)
  await writeFile(join(directories[0]!, 'format.json'), '{"format": 99}')
  const newer = await refusal({ directories })
  t.equal(newer.exitCode, 4)
  t.match(newer.stderr, /format 99/)
})

t.test('SIGTERM while a client reads slowly still ends within ten seconds', async (t) => {
  const directories = sixUnder(t.testdir())
  const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'bucket' } })
  const client = new S3Client(server.endpoint)
  t.equal((await client.put('bucket', 'k', Buffer.alloc(32 * 1024 * 1024))).status, 200)
  const stalled = client
    .send({ method: 'GET', path: '/bucket/k', stream: () => new Promise(() => {}) })
    .catch(() => 'broken off')
  await new Promise((resolve) => setTimeout(resolve, 500))
  const outcome = await Promise.race([
    server.stop(),
    new Promise((resolve) => setTimeout(() => resolve('too late'), 20_000).unref()),
  ])
  t.equal(outcome, 0)
  client.close()
  void stalled
})
