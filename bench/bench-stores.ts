// The stores that loads are run at: one server on six drives of this machine, and a small cluster of real processes.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Endpoint } from '../src/load/endpoint.ts'
import { DevCluster } from '../test/support/dev-cluster.ts'
import { startServer, TEST_KEYS } from '../test/support/server.ts'
import { PROFILES_VARIABLE } from './profiler.ts'
import { ServerProcesses } from './server-processes.ts'

/** A store that is up. */
export interface BenchStore {
  name: string
  endpoint: Endpoint
  processes: ServerProcesses
  /** Where processes leave profiles that they are asked for. */
  profiles: string
  /** Ends it and takes its data away. */
  close(): Promise<void>
}

/** The embedded store, and what can be done to it between two loads. */
export interface EmbeddedStore extends BenchStore {
  directories: readonly string[]
  stop(): Promise<void>
  /** On the same port as before. */
  start(): Promise<void>
}

const DRIVES = 6

export interface EmbeddedOptions {
  withProfiler?: boolean
  /** Other than what suits the cores. */
  processes?: number
}

/** 4+2 on six drives. */
export async function openEmbedded({
  withProfiler = false,
  processes,
}: EmbeddedOptions = {}): Promise<EmbeddedStore> {
  const directory = await mkdtemp(join(tmpdir(), 'kintsugi-bench-'))
  const profiles = join(directory, 'profiles')
  await mkdir(profiles)
  const directories = Array.from({ length: DRIVES }, (_, at) => join(directory, `drive${at + 1}`))
  const environment = {
    KINTSUGI_LOG_LEVEL: 'error',
    // What is missing in a measurement is not made again meanwhile.
    KINTSUGI_MEND_DELAY: '86400',
    KINTSUGI_PROCESSES: String(processes ?? 'auto'),
    ...(withProfiler ? profilerEnvironment(profiles) : {}),
  }
  let server = await startServer({ directories, environment })
  const endpoint = endpointOf(server.endpoint)
  const options = ['--port', endpoint.url.port, '--admin-port', '0']
  return {
    name: processes === undefined ? 'embedded' : `embedded, ${processes}`,
    ...{ endpoint, profiles, directories },
    processes: new ServerProcesses(directory),
    stop: async () => {
      await server.stop()
    },
    start: async () => {
      server = await startServer({ directories, environment, options, bare: true })
    },
    close: async () => {
      await server.stop()
      await rm(directory, { recursive: true })
    },
  }
}

/** Six nodes with a drive each, and a gateway of so many processes. */
export async function openCluster(gatewayProcesses: number): Promise<BenchStore> {
  const words = ['--nodes', '6', '--gateways', '1', '--code', '4+2']
  const cluster = await DevCluster.in(tmpdir(), [
    ...words,
    ...['--processes', String(gatewayProcesses)],
  ])
  try {
    const { gateways } = await cluster.up()
    return {
      name: gatewayProcesses === 1 ? 'cluster' : `cluster, gateway of ${gatewayProcesses}`,
      endpoint: endpointOf(gateways[0]!),
      processes: new ServerProcesses(cluster.directory),
      profiles: cluster.directory,
      close: () => cluster.remove(),
    }
  } catch (error) {
    await cluster.remove()
    throw error
  }
}

/** An endpoint with the key that every server of ours is started with. */
export function endpointOf(url: string): Endpoint {
  return { url: new URL(url), ...TEST_KEYS, region: 'us-east-1' }
}

function profilerEnvironment(profiles: string): Record<string, string> {
  const program = new URL('./profiler.js', import.meta.url)
  return { NODE_OPTIONS: `--import ${program.href}`, [PROFILES_VARIABLE]: profiles }
}
