// The faults, in the order in which they come: each is begun, lasts, is over, and some time passes after it.
import { loseDirectory } from '../../support/lose-directory.ts'
import type { Network, Way } from './network.ts'
import type { ClusterProcesses } from './processes.ts'

/** What a fault is done to. */
export interface Site {
  cluster: ClusterProcesses
  network: Network
}

/** One of them. */
export interface Fault {
  name: string
  /** How long it lasts after begin(), in seconds: in a short run, which leaves some out, and in a long one. */
  seconds: { short?: number; long: number }
  begin(site: Site): Promise<void>
  /** What ends it, and how that is called; resolves when all processes are ready. Without it nothing is to be ended. */
  over?: { name: string; act(site: Site): Promise<void> }
}

const BRIEF = { short: 6, long: 20 }

export const FAULTS: readonly Fault[] = [
  { name: 'none', seconds: { short: 4, long: 20 }, begin: async () => {} },
  {
    name: 'kill -9 of a node',
    seconds: BRIEF,
    begin: ({ cluster }) => cluster.end('node-1', 'SIGKILL'),
    over: { name: 'it is back', act: ({ cluster }) => cluster.start('node-1') },
  },
  {
    name: 'SIGSTOP of a node',
    seconds: { short: 10, long: 30 },
    begin: async ({ cluster }) => cluster.signal('node-2', 'SIGSTOP'),
    over: {
      name: 'it goes on',
      act: async ({ cluster }) => {
        cluster.signal('node-2', 'SIGCONT')
        await cluster.ready('node-2')
      },
    },
  },
  cut('a node is cut off', { short: 10, long: 30 }, ({ network }) =>
    network.waysAround(['node-3']),
  ),
  cut('two of six nodes are cut off, together', { short: 10, long: 30 }, ({ network }) =>
    network.waysAround(['node-4', 'node-5']),
  ),
  cut('a node hears, and is not heard', BRIEF, ({ network }) =>
    network.waysAround(['node-6']).filter(({ from }) => from === 'node-6'),
  ),
  cut('a node is heard, and does not hear', BRIEF, ({ network }) =>
    network.waysAround(['node-1']).filter(({ to }) => to === 'node-1'),
  ),
  cut('no way from one node to another', { long: 20 }, () => [{ from: 'node-2', to: 'node-3' }]),
  {
    name: 'etcd is restarted',
    seconds: { long: 20 },
    begin: ({ cluster }) => restart(cluster, cluster.etcd, 'SIGTERM'),
  },
  {
    name: 'etcd is killed',
    seconds: { short: 10, long: 60 },
    begin: ({ cluster }) => cluster.end(cluster.etcd, 'SIGKILL'),
    over: { name: 'it is back', act: ({ cluster }) => cluster.start(cluster.etcd) },
  },
  {
    name: 'kill -9 of a gateway',
    seconds: { short: 4, long: 20 },
    begin: ({ cluster }) => cluster.end('gateway-2', 'SIGKILL'),
    over: { name: 'it is back', act: ({ cluster }) => cluster.start('gateway-2') },
  },
  {
    name: 'the drive of a node is removed',
    seconds: { short: 8, long: 30 },
    begin: async ({ cluster }) => await loseDirectory(cluster.driveOf('node-6')),
  },
  {
    name: 'everything is restarted, one by one',
    seconds: BRIEF,
    begin: async ({ cluster }) => {
      for (const name of [...cluster.nodes, ...cluster.gateways, cluster.etcd]) {
        // It has no drive any more, and does not start without one.
        if (name !== 'node-6') await restart(cluster, name, 'SIGTERM')
      }
    },
  },
]

function cut(name: string, seconds: Fault['seconds'], ways: (site: Site) => Way[]): Fault {
  return {
    name,
    seconds,
    begin: (site) => site.network.cut(ways(site)),
    over: { name: 'all ways are open', act: (site) => site.network.mend(ways(site)) },
  }
}

async function restart(
  cluster: ClusterProcesses,
  name: string,
  signal: NodeJS.Signals,
): Promise<void> {
  await cluster.end(name, signal)
  await cluster.start(name)
}
