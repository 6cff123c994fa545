// A gateway that half of the nodes do not answer says that another one may be asked only where that one may have more.
import t from 'tap'
import { readinessOfCluster } from '../../../src/cluster/cluster-readiness.ts'
import { CutOff } from '../../../src/cluster/cut-off.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'

/** Four nodes; time passes when the test says so. */
function openCluster() {
  const seen = {
    nowMs: 0,
    away: [] as string[],
    heard: [] as string[],
    isEtcdAway: false,
    asked: 0,
  }
  const nodes = ['a', 'b', 'c', 'd']
  const care = {
    get nodesAway() {
      return seen.away
    },
  }
  const cutOff = new CutOff({
    world: { clock: { ...realWorld().clock, monotonicMs: () => seen.nowMs } },
    ...{ log: silentLog, nodes: () => nodes, care },
    registry: {
      hints: async () => {
        seen.asked += 1
        if (seen.isEtcdAway) throw new Error('away')
        return new Set(seen.heard)
      },
    },
  })
  t.teardown(() => cutOff.stop())
  const drives = nodes.map((nodeId, id) => ({ id, nodeId, state: 'active' }))
  const state = { map: { drives } } as unknown as ClusterState
  const coordinator = { state, standing: { kind: 'current' } as const }
  const readiness = () =>
    readinessOfCluster({ coordinator, care, clocks: { sentence: undefined }, cutOff })
  const look = async (afterMs: number): Promise<boolean> => {
    seen.nowMs += afterMs
    await cutOff.look()
    return readiness().ready
  }
  return { seen, look, readiness }
}

t.test('half of the nodes are dead, and no gateway has more', async (t) => {
  const { seen, look, readiness } = openCluster()
  t.equal(await look(0), true)
  t.equal(seen.asked, 0, 'etcd is asked for nothing')
  seen.away = ['a', 'b']
  seen.heard = ['a', 'b', 'c', 'd']
  t.equal(await look(5_000), true, 'their hints are there for a while')
  seen.heard = ['c', 'd']
  t.equal(await look(30_000), true)
  t.match(readiness().degraded, [/^2 of 4 nodes do not answer/])
  seen.away = ['a', 'b', 'c', 'd']
  t.equal(await look(5_000), false, 'nothing is served')
})

t.test('half of the nodes are cut off from here', async (t) => {
  const { seen, look, readiness } = openCluster()
  seen.away = ['a', 'b']
  seen.heard = ['a', 'b', 'c']
  t.equal(await look(0), true, 'not at once')
  t.equal(await look(15_000), false)
  t.match(readiness().degraded, [/^2 of 4 nodes do not answer/, /cut off from them/])
  seen.away = ['a']
  t.equal(readiness().ready, true, 'one comes back')
  t.equal(await look(1_000), true)
  seen.away = ['a', 'b']
  t.equal(await look(1_000), true, 'it is counted from the beginning')
})

t.test('nor etcd answers', async (t) => {
  const { seen, look } = openCluster()
  seen.away = ['a', 'b', 'c']
  seen.isEtcdAway = true
  await look(0)
  t.equal(await look(20_000), false)
})
