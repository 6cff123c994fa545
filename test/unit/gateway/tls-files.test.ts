// Certificates are read again when their files change, and a pair that does not fit harms nothing.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  readTlsKeys,
  type TlsKeys,
  tlsMisfit,
  watchTlsFiles,
} from '../../../src/gateway/tls-files.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld, type World } from '../../../src/kit/world.ts'

const PATHS = { certPath: '/cert', keyPath: '/key' }

/** Files in memory and a clock whose sleeps end when the test says so. */
function fakeWorld() {
  const files: Record<string, string> = { '/cert': 'cert 1', '/key': 'key 1' }
  const sleepers: (() => void)[] = []
  const real = realWorld()
  const world: World = {
    ...real,
    clock: {
      ...real.clock,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          sleepers.push(resolve)
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        }),
    },
    disk: { ...real.disk, readFile: async (path) => Buffer.from(files[path]!) },
  }
  const look = async (): Promise<void> => {
    for (const wake of sleepers.splice(0)) wake()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { files, world, look }
}

t.test('a change is passed on once', async (t) => {
  const { files, world, look } = fakeWorld()
  const reloaded: TlsKeys[] = []
  const first = await readTlsKeys(PATHS, world)
  const watching = watchTlsFiles(PATHS, first, (keys) => reloaded.push(keys), {
    world,
    log: silentLog,
  })
  await look()
  t.same(reloaded, [], 'nothing changed')
  files['/cert'] = 'cert 2'
  files['/key'] = 'key 2'
  await look()
  await look()
  t.same(reloaded, [{ cert: 'cert 2', key: 'key 2' }])
  await watching.stop()
})

t.test('a pair that does not fit is told once, and the next one is taken', async (t) => {
  const { files, world, look } = fakeWorld()
  const warnings: string[] = []
  const log = { ...silentLog, warn: (_data: object, sentence: string) => warnings.push(sentence) }
  const taken: string[] = []
  const reload = ({ cert }: TlsKeys): void => {
    if (cert === 'bad') throw new Error('key values mismatch')
    taken.push(cert)
  }
  const watching = watchTlsFiles(PATHS, await readTlsKeys(PATHS, world), reload, { world, log })
  files['/cert'] = 'bad'
  await look()
  await look()
  await look()
  t.equal(warnings.length, 1)
  files['/cert'] = 'good'
  await look()
  t.same(taken, ['good'])
  await watching.stop()
})

function makePair(directory: string): TlsKeys {
  const [cert, key] = [join(directory, 'crt.pem'), join(directory, 'key.pem')]
  const curve = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const files = ['-keyout', key, '-out', cert, '-days', '1', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', '-x509', '-newkey', ...curve, '-nodes', ...files], {
    stdio: 'ignore',
  })
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

t.test('what can not be served is named by its option', async (t) => {
  const { cert, key } = makePair(t.testdir())
  const other = makePair(t.testdir())
  t.equal(tlsMisfit({ cert, key }, PATHS), undefined)
  for (const text of ['# Kintsugi', '', key])
    t.equal(tlsMisfit({ cert: text, key }, PATHS), '--tls-cert /cert is not a certificate in PEM.')
  for (const text of ['# Kintsugi', '', cert])
    t.match(tlsMisfit({ cert, key: text }, PATHS), /^--tls-key \/key is not a private key in PEM/)
  t.equal(
    tlsMisfit({ cert, key: other.key }, PATHS),
    '--tls-key /key is not the key of the certificate in /cert.',
  )
})
