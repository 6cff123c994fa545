// Certificates are read again when their files change, and a pair that does not fit harms nothing.
import t from 'tap'
import { readTlsKeys, type TlsKeys, watchTlsFiles } from '../../../src/gateway/tls-files.ts'
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
