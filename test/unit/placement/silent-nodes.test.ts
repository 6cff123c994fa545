// Drives of nodes that do not answer: out when it is one failure domain and enough is left, back with their node.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { drainNode, markOut } from '../../../src/placement/coordinator-changes.ts'
import {
  drivesToTakeBack,
  drivesToTakeOut,
  followNodes,
  markUnserved,
  SILENT_REASON,
} from '../../../src/placement/silent-nodes.ts'

await prepareDigests()

function mapOf(nodes: number, drives: number, zones = 0): ClusterMap {
  const all = Array.from({ length: nodes * drives }, (_, at) => ({
    ...{ id: at + 1, uuid: `drive-${at + 1}`, weight: 1, state: 'active' as const },
    nodeId: `n${at % nodes}`,
    ...(zones > 0 ? { zone: `z${(at % nodes) % zones}` } : {}),
  }))
  return buildMap(all, codeForDrives(6), '12345678901234567890')
}

function stateOf(map: ClusterMap): ClusterState {
  const rest = { metaPartitions: [], buckets: {}, nextBucketId: 1, nextDriveId: 99 }
  return { clusterId: 'c', epoch: 1, map, ...rest }
}

const silent =
  (...ids: string[]) =>
  (id: string): boolean =>
    ids.includes(id)

t.test('the drives of one silent node go out, those of two stay', async (t) => {
  const map = mapOf(6, 2)
  t.same(drivesToTakeOut(map, silent()), [])
  t.same(drivesToTakeOut(map, silent('n2')), [3, 9])
  t.same(drivesToTakeOut(map, silent('n2', 'n3')), [], 'rather we are cut off')
  const out = { ...stateOf(map), ...followNodes(silent('n2'), silent())(stateOf(map)) }
  t.match(out.map.drives[2], { state: 'out', reason: SILENT_REASON })
  t.same(drivesToTakeOut(out.map, silent('n2', 'n3')), [])
  t.same(drivesToTakeOut(out.map, silent('n3')), [], 'one after the other is two as well')
  const drained = { ...out, ...drainNode('n2', { reEncode: true })(out) }
  t.same(drivesToTakeOut(drained.map, silent('n2', 'n3')), [4, 10], 'the first is given up')
  const failed = { ...stateOf(map), ...markOut(5, 'it failed')(stateOf(map)) }
  t.same(drivesToTakeOut(failed.map, silent('n2')), [3, 9], 'a drive that failed is no node')
})

t.test(
  'what its node does not serve is out for that, and not back because the node answers',
  async (t) => {
    const state = stateOf(mapOf(6, 2))
    const reasons = new Map([[3, 'its directory is missing']])
    const told = { ...state, ...markUnserved('n2', reasons)(state) }
    t.match(told.map.drives[2], { state: 'out', reason: 'its directory is missing' })
    t.equal(markUnserved('n2', reasons)(told), undefined, 'it is known')
    const silenced = { ...state, ...followNodes(silent('n2'), silent())(state) }
    t.same(drivesToTakeBack(silenced.map, silent('n2')), [3, 9])
    const said = { ...silenced, ...markUnserved('n2', reasons)(silenced) }
    t.match(said.map.drives[2], { state: 'out', reason: 'its directory is missing' })
    t.same(drivesToTakeBack(said.map, silent('n2')), [9])
    t.equal(markUnserved('n1', reasons)(state), undefined, 'it is in another node by now')
    const failed = { ...state, ...markOut(3, 'it failed')(state) }
    t.equal(markUnserved('n2', reasons)(failed), undefined, 'the first reason stays')
  },
)

t.test('too few must not be left', async (t) => {
  t.same(drivesToTakeOut(mapOf(3, 2), silent('n2')), [])
  t.same(drivesToTakeOut(mapOf(4, 2), silent('n2')), [3, 7])
})

t.test('a zone is one failure domain where the table counts on zones', async (t) => {
  t.same(drivesToTakeOut(mapOf(8, 1, 4), silent('n1', 'n5')), [2, 6])
  t.same(drivesToTakeOut(mapOf(8, 1, 2), silent('n1', 'n3')), [], 'here it does not')
})

t.test('with their node they come back, but for those that were out of themselves', async (t) => {
  const before = {
    ...stateOf(mapOf(6, 2)),
    ...followNodes(silent('n2'), silent())(stateOf(mapOf(6, 2))),
  }
  const state = { ...before, ...markOut(4, 'it failed')(before) }
  t.same(drivesToTakeBack(state.map, silent('n3')), [])
  t.same(drivesToTakeBack(state.map, silent('n2', 'n3')), [3, 9])
  const back = followNodes(silent(), silent('n2', 'n3'))(state)
  t.match(back?.map.drives[2], { state: 'active' })
  t.match(back?.map.drives[3], { state: 'out', reason: 'it failed' })
  t.equal(followNodes(silent(), silent())(state), undefined)
})
