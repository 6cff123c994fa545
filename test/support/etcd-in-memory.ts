// A simulated etcd as the contracts want it: the port of 127.0.0.1:9 is nobody's.
import { realWorld } from '../../src/kit/world.ts'
import type { EtcdUnderTest } from '../contracts/etcd-client.contract.ts'
import { SimulatedEtcd } from './simulated-etcd.ts'

const ENDPOINT = 'http://etcd.test:2379'

/** Real time and disk, an etcd in memory. */
export async function openEtcdInMemory(): Promise<EtcdUnderTest & { etcd: SimulatedEtcd }> {
  const real = realWorld()
  const etcd = new SimulatedEtcd(real.clock)
  let backup = etcd.backup()
  return {
    etcd,
    endpoint: ENDPOINT,
    world: {
      ...real,
      http: {
        send: async (request) => {
          if (!request.url.startsWith(ENDPOINT)) throw new Error('nobody is there')
          return await etcd.http.send(request)
        },
        lines: async (request, signal) => {
          if (!request.url.startsWith(ENDPOINT)) throw new Error('nobody is there')
          return await etcd.http.lines(request, signal)
        },
      },
    },
    takeAway: async () => {
      etcd.mood = 'away'
      etcd.breakWatches()
    },
    bringBack: async () => {
      etcd.mood = 'well'
    },
    backUp: async () => {
      backup = etcd.backup()
    },
    restoreBackup: async () => {
      etcd.restore(backup)
      etcd.mood = 'well'
    },
  }
}
