// A real etcd of one member: free ports, a directory of its own, ended by its process id.
import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { realWorld } from '../../src/kit/world.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import type { EtcdUnderTest } from '../contracts/etcd-client.contract.ts'

const READY_MS = 30_000

/** Starts one that ends with the test. `options` are put behind ours on its command line. */
export async function startEtcd(
  t: Test,
  options: readonly string[] = [],
  scheme: 'http' | 'https' = 'http',
): Promise<EtcdUnderTest & { directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'etcd-'))
  const ports = { client: await freePort(), peer: await freePort() }
  const endpoint = `${scheme}://127.0.0.1:${ports.client}`
  const data = join(directory, 'data')
  let running: ChildProcess | undefined
  const world = realWorld()

  const start = async (): Promise<void> => {
    const child = spawn('etcd', [...flags(data, endpoint, ports.peer), ...options], {
      stdio: 'ignore',
    })
    running = child
    await untilReady(endpoint, scheme, child)
  }
  const end = async (): Promise<void> => {
    const child = running
    running = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  t.teardown(async () => {
    await end()
    await rm(directory, { recursive: true, force: true })
  })
  await start()
  return {
    endpoint,
    directory,
    world,
    takeAway: end,
    bringBack: start,
    backUp: async () => {
      await end()
      await cp(data, join(directory, 'backup'), { recursive: true })
      await start()
    },
    restoreBackup: async () => {
      await end()
      await rm(data, { recursive: true })
      await cp(join(directory, 'backup'), data, { recursive: true })
      await start()
    },
  }
}

function flags(data: string, endpoint: string, peerPort: number): string[] {
  const peer = `http://127.0.0.1:${peerPort}`
  return [
    ...['--name', 'one', '--data-dir', data, '--logger', 'zap', '--log-outputs', 'stderr'],
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `one=${peer}`],
  ]
}

async function untilReady(
  endpoint: string,
  scheme: 'http' | 'https',
  child: ChildProcess,
): Promise<void> {
  const client = new EtcdClient({ endpoints: [endpoint] }, realWorld())
  const untilMs = Date.now() + READY_MS
  for (;;) {
    if (child.exitCode !== null) throw new Error(`etcd ended with ${child.exitCode}`)
    if (Date.now() > untilMs) throw new Error('etcd does not get ready')
    try {
      await client.range({ key: 'ready' })
      return
    } catch (error) {
      // It answered that it does not let us in: it is there. Of https only who has its certificate knows more.
      if ((error as { code?: string }).code === 'ETCD_REFUSED') return
      if (scheme === 'https' && /certificate|SSL|TLS/i.test(String(error))) return
    }
    await sleep(50)
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
