// Nodes and zones: no table lets the loss of one lose data, whatever comes and goes, and hardly a slot moves that need not.
import fc from 'fast-check'
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { type ErasureCode, nameCode, shardCount } from '../../../src/kit/erasure-code.ts'
import { codeForDrives } from '../../../src/placement/build-map.ts'
import type { ClusterMap, MapDrive } from '../../../src/placement/cluster-map.ts'
import type { Change, ClusterState } from '../../../src/placement/coordinator.ts'
import {
  addDrives,
  drainDrive,
  drainNode,
  markOut,
  moveDrive,
  type NewDrive,
  replaceDrive,
  setWeight,
} from '../../../src/placement/coordinator-changes.ts'
import { planDrain, planDrainNode, refuseReplace } from '../../../src/placement/drive-edits.ts'
import { FailureDomains, fitToNodes, isSafeLayout } from '../../../src/placement/failure-domains.ts'
import { emptyClusterMap, planFirstMap } from '../../../src/placement/first-map.ts'
import { codeForAnew } from '../../../src/placement/fit-code.ts'
import { idealLoads, stayingDrives } from '../../../src/placement/rebalance.ts'

await prepareDigests()

const COUNTS = { partitionCount: 256, metaPartitionCount: 8 }

interface NodeOf {
  node: string
  zone?: string
  weights: readonly number[]
}

function drivesOf(nodes: readonly NodeOf[], firstId = 1): NewDrive[] {
  return nodes
    .flatMap(({ node, zone, weights }) => weights.map((weight) => ({ node, zone, weight })))
    .map(({ node, zone, weight }, index) => ({
      ...{ id: firstId + index, uuid: `drive-${firstId + index}`, weight, path: '/d' },
      ...{ nodeId: node, ...(zone ? { zone } : {}) },
    }))
}

function stateOf(nodes: readonly NodeOf[], code?: ErasureCode): ClusterState {
  const drives = drivesOf(nodes).map((drive): MapDrive => ({ ...drive, state: 'active' }))
  const state: ClusterState = {
    ...{ clusterId: 'c', epoch: 1, metaPartitions: [], buckets: {}, nextBucketId: 1 },
    nextDriveId: 1000,
    map: { ...emptyClusterMap('12345678901234567890', COUNTS), drives },
    cluster: { nodesExpected: nodes.length, secret: '00', ...(code ? { code } : {}) },
  }
  const plan = planFirstMap(state)
  if (plan.kind !== 'possible') throw new Error(plan.kind === 'made' ? 'made' : plan.sentence)
  return { ...state, map: plan.map }
}

function after(state: ClusterState, change: Change): ClusterState {
  return { ...(change(state) ?? state), epoch: state.epoch + 1 }
}

function even(count: number, drives: number, zones = 0): NodeOf[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ node: `n${index}`, weights: Array<number>(drives).fill(1000) },
    ...(zones > 0 ? { zone: `z${index % zones}` } : {}),
  }))
}

function most(
  map: ClusterMap,
  ids: readonly number[],
  domainOf: (drive: MapDrive) => string,
): number {
  const counts = new Map<string, number>()
  for (const id of ids) {
    const domain = domainOf(map.drives.find((drive) => drive.id === id)!)
    counts.set(domain, (counts.get(domain) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

const ofNode = ({ nodeId }: MapDrive): string => nodeId!
const ofZone = ({ zone, nodeId }: MapDrive): string => zone ?? nodeId!

/** What is wrong with a table, by its own limits. */
function faultsOf(map: ClusterMap): string[] {
  const width = shardCount(map.code)
  const { perNode, perZone } = FailureDomains.of(map)!.limits
  const staying = new Set(stayingDrives(map.drives).map(({ id }) => id))
  const ideals = idealLoads(
    stayingDrives(map.drives),
    map.slots.length,
    width,
    FailureDomains.of(map),
  )
  const loads = new Map<number, number>()
  const rows = map.slots.flatMap((row, partition) => {
    const ids = row.slice(0, width)
    for (const id of ids) loads.set(id, (loads.get(id) ?? 0) + 1)
    return [
      ...(new Set(row).size === row.length ? [] : [`${partition}: a drive twice`]),
      ...(row.every((id) => staying.has(id)) ? [] : [`${partition}: a drive that leaves`]),
      ...(most(map, ids, ofNode) <= perNode ? [] : [`${partition}: too much on a node: ${row}`]),
      ...(most(map, ids, ofZone) <= perZone ? [] : [`${partition}: too much in a zone: ${row}`]),
    ]
  })
  const hasOut = map.drives.some(({ state }) => state === 'out')
  const shares = [...ideals].flatMap(([id, ideal]) => {
    const isFair = Math.abs((loads.get(id) ?? 0) - ideal) <= Math.max(2, ideal * 0.05)
    return isFair || hasOut ? [] : [`drive ${id}: ${loads.get(id)}, its share is ${ideal}`]
  })
  return [...rows, ...shares]
}

function movedSlots(before: ClusterMap, next: ClusterMap): number {
  const width = shardCount(before.code)
  return before.slots.reduce(
    (sum, row, partition) =>
      sum + row.slice(0, width).filter((id, at) => next.slots[partition]![at] !== id).length,
    0,
  )
}

/** No way to fair shares moves fewer. */
function leastMoves(before: ClusterMap, next: ClusterMap): number {
  const width = shardCount(before.code)
  const loads = new Map<number, number>()
  for (const id of before.slots.flatMap((row) => row.slice(0, width)))
    loads.set(id, (loads.get(id) ?? 0) + 1)
  const drives = stayingDrives(next.drives)
  const ideals = idealLoads(drives, before.slots.length, width, FailureDomains.of(next))
  return [...ideals].reduce(
    (sum, [id, ideal]) => sum + Math.max(0, ideal - (loads.get(id) ?? 0)),
    0,
  )
}

t.test('the code is one that the loss of any node leaves readable', async (t) => {
  const wanted: [number, number, string][] = [
    [2, 1, '1+1'],
    [2, 3, '2+2'],
    [3, 1, '1+2'],
    [4, 1, '2+2'],
    [6, 1, '4+2'],
    [3, 4, '8+4'],
    [2, 6, '4+4'],
  ]
  for (const [nodes, drives, name] of wanted) {
    const { map } = stateOf(even(nodes, drives))
    t.equal(`${map.code.dataCount}+${map.code.parityCount}`, name, `${nodes} × ${drives}`)
    t.same(faultsOf(map), [], `${nodes} × ${drives}`)
  }
  const one = even(1, 6).map(({ node, weights }) => ({ node, weights }))
  t.throws(() => stateOf(one), /one node the loss of one node loses data/)
  t.equal(fitToNodes(codeForDrives(6), []), undefined)
})

t.test('small objects have their copies on as many nodes as there are', async (t) => {
  const { map } = stateOf(even(6, 4))
  t.match(map.code, { dataCount: 8, parityCount: 4 })
  for (const row of map.slots) t.equal(most(map, row.slice(0, 5), ofNode), 1)
  const three = stateOf(even(3, 4))
  for (const row of three.map.slots) t.equal(most(three.map, row.slice(0, 5), ofNode), 2)
})

t.test('zones count where there are enough of them', async (t) => {
  const { map } = stateOf(even(6, 4, 3))
  t.equal(FailureDomains.of(map)?.limits.perZone, 4)
  t.same(faultsOf(map), [])
  const two = stateOf(even(6, 4, 2))
  t.equal(FailureDomains.of(two.map)?.limits.perZone, Number.POSITIVE_INFINITY)
  t.same(faultsOf(two.map), [])
})

t.test('a node joins, another is drained: what moves is near the least', async (t) => {
  for (const [nodes, drives, zones] of [
    [6, 1, 0],
    [4, 3, 0],
    [6, 4, 3],
    [9, 2, 3],
  ] as const) {
    const name = `${nodes} × ${drives} in ${zones} zones`
    const state = stateOf(even(nodes, drives, zones), codeForDrives(6))
    const zone = zones > 0 ? { zone: 'z0' } : {}
    const more = { node: 'new', weights: Array<number>(drives).fill(1000), ...zone }
    const grown = after(state, addDrives(drivesOf([more], 500)))
    t.same(faultsOf(grown.map), [], name)
    const [moved, least] = [movedSlots(state.map, grown.map), leastMoves(state.map, grown.map)]
    t.comment(`${name}: ${moved} moved by a node that joins, ${least.toFixed(0)} at least`)
    t.ok(moved <= least * 1.1 + 8, `${name}: ${moved} of ${least}`)
    const drained = after(grown, drainNode('n1'))
    t.same(faultsOf(drained.map), [], name)
    const [back, fewest] = [movedSlots(grown.map, drained.map), leastMoves(grown.map, drained.map)]
    t.comment(`${name}: ${back} moved by a node that is drained, ${fewest.toFixed(0)} at least`)
    t.ok(back <= fewest * 1.1 + 8, `${name}: ${back} of ${fewest}`)
  }
})

t.test('what would let the loss of a node lose data is refused, in a sentence', async (t) => {
  const state = stateOf(even(3, 3), codeForDrives(6))
  const ways = planDrainNode(state.map, 'n0')
  t.match(ways, { kind: 'refused', sentence: /2 nodes that would be left .* more than 2 of the 6/ })
  t.match(ways, { sentence: /kintsugi drain n0 --re-encode: .* as 2\+2 then, which takes 33 %/ })
  t.match(planDrainNode(state.map, 'n0', { reEncode: true }), { code: { dataCount: 2 } })
  t.match(planDrainNode(state.map, 'n0', { allowsUnsafeLayout: true }), { kind: 'planned' })
  t.match(planDrainNode(state.map, 'n9'), { sentence: /no drive is known of node n9/ })
  t.equal(drainNode('n0')(state), undefined)
  const anew = after(state, drainNode('n0', { reEncode: true }))
  t.match(anew.map.code, { dataCount: 2, parityCount: 2 })
  t.same(faultsOf(anew.map), [])
  t.match(planDrain(state.map, 1), { kind: 'planned' })
  const less = after(state, drainDrive(1))
  t.match(planDrain(less.map, 2), { sentence: /drive 2 can not be drained: on the 3 nodes/ })
  t.ok(isSafeLayout(stayingDrives(less.map.drives), less.map.code))
})

t.test('blobs are written anew that nodes or zones may not have so many shards of', async (t) => {
  const code = (dataCount: number, parityCount: number) => ({
    ...codeForDrives(6),
    ...{ dataCount, parityCount },
  })
  const anewIn = ({ map }: ClusterState, ...of: [number, number]): string | undefined => {
    const found = codeForAnew(map, { partition: 3, code: code(...of) })
    return found && nameCode(found)
  }
  // Twelve drives would do for 8+4, but not the two nodes that have them.
  const wide = stateOf(even(3, 6), code(8, 4))
  t.equal(anewIn(wide, 8, 4), undefined)
  const narrow = after(wide, drainNode('n0', { reEncode: true }))
  t.equal(nameCode(narrow.map.code), '4+4')
  t.equal(narrow.map.slots[3]!.length, 10, 'with two spares')
  t.same(
    [anewIn(narrow, 8, 4), anewIn(narrow, 6, 4), anewIn(narrow, 4, 4), anewIn(narrow, 1, 4)],
    ['4+4', '4+4', undefined, undefined],
  )
  t.equal(anewIn(narrow, 7, 3), undefined, 'the reduced class is what fits on the drives')
  t.equal(anewIn(narrow, 8, 3), '7+3')
  const more = after(narrow, addDrives(drivesOf([{ node: 'n9', weights: [1, 1, 1, 1] }], 500)))
  t.equal(anewIn(more, 6, 4), undefined, 'a node more, and it may stay as it is')

  const zones = after(stateOf(even(6, 1), code(4, 2)), drainNode('n5', { reEncode: true }))
  t.same([anewIn(zones, 4, 2), anewIn(zones, 3, 2)], ['3+2', undefined])
  const byZones = stateOf(even(6, 2, 3), code(4, 2))
  const twoZones = {
    ...byZones.map,
    slots: byZones.map.slots.map((row) =>
      row.filter((id) => byZones.map.drives.find((drive) => drive.id === id)?.zone !== 'z0'),
    ),
  }
  const domains = FailureDomains.of(byZones.map)!
  t.match(domains.limits, { perNode: 2, perZone: 2 })
  t.equal(domains.roomOn(twoZones.slots[3]!), 4, 'two zones of two')
  t.equal(domains.roomOn([...twoZones.slots[3]!, 4711]), 4, 'a drive that nobody knows is none')
})

t.test('a drive that is found in another node is there, and the table follows', async (t) => {
  const state = stateOf(even(4, 3), codeForDrives(6))
  const moved = after(state, moveDrive(1, { nodeId: 'n3', path: '/e' }))
  t.match(moved.map.drives[0], { nodeId: 'n3', path: '/e', id: 1 })
  t.same(faultsOf(moved.map), [])
  t.equal(moveDrive(1, { nodeId: 'n3', path: '/e' })(moved), undefined)
  const same = after(moved, moveDrive(1, { nodeId: 'n3', path: '/f' }))
  t.equal(same.map.slots, moved.map.slots)
})

t.test(
  'a drive that takes the place of one in another node gets what is allowed there',
  async (t) => {
    const state = stateOf(even(4, 3), codeForDrives(6))
    const drive = { id: 500, uuid: 'new', weight: 1000, path: '/e' }
    const before = state.map.slots
    const same = after(state, replaceDrive(1, { ...drive, nodeId: 'n0' }))
    t.same(
      same.map.slots,
      before.map((row) => row.map((id) => (id === 1 ? 500 : id))),
    )
    const moved = after(state, replaceDrive(1, { ...drive, nodeId: 'n3' }))
    t.same(faultsOf(moved.map), [])
    t.match(moved.map.drives[0], { id: 1, state: 'draining' })
  },
)

t.test(
  'a drive is not replaced by one where the loss of a node would lose data then',
  async (t) => {
    const state = stateOf(even(3, 2), codeForDrives(6))
    const drive = { id: 500, uuid: 'new', weight: 1000, path: '/e' }
    const home = { nodeId: 'n2' }
    t.match(refuseReplace(state.map, 1, { home }), /by one of node n2.* directory of node n0/)
    t.equal(replaceDrive(1, { ...drive, ...home })(state), undefined)
    t.equal(refuseReplace(state.map, 1, { home: { nodeId: 'n0' } }), undefined)
    t.equal(refuseReplace(state.map, 1, { home: { nodeId: 'new' } }), undefined)
    t.ok(replaceDrive(1, { ...drive, nodeId: 'new' })(state))
    const cluster = { ...state.cluster!, allowsUnsafeLayout: true as const }
    t.ok(replaceDrive(1, { ...drive, ...home })({ ...state, cluster }))
  },
)

t.test('whatever comes and goes, no row has too much on a node or in a zone', async (t) => {
  const weights = fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 4 })
  const step = fc.record({
    kind: fc.constantFrom('join', 'drain', 'weigh', 'out', 'move'),
    at: fc.nat(100),
    weights,
  })
  fc.assert(
    fc.property(
      fc.array(weights, { minLength: 4, maxLength: 7 }),
      fc.nat(4),
      fc.array(step, { maxLength: 5 }),
      (nodes, zones, steps) => {
        const zoneOf = (at: number): { zone?: string } =>
          zones > 0 ? { zone: `z${at % zones}` } : {}
        let state = stateOf(
          nodes.map((all, at) => ({ node: `n${at}`, weights: all, ...zoneOf(at) })),
        )
        let next = 500
        for (const { kind, at, weights: all } of steps) {
          const { id, nodeId } = state.map.drives[at % state.map.drives.length]!
          if (kind === 'join') {
            const added = drivesOf([{ node: `n${next}`, weights: all, ...zoneOf(at) }], next)
            state = after(state, addDrives(added))
            next += added.length
          } else if (kind === 'drain') state = after(state, drainNode(nodeId!))
          else if (kind === 'weigh') state = after(state, setWeight(id, all[0]!))
          else if (kind === 'out') state = after(state, markOut(id, 'a test'))
          else state = after(state, moveDrive(id, { nodeId: 'n0', ...zoneOf(0), path: '/d' }))
          // Drives that are out keep what they have: what they would have to give up can have no taker.
          const hasOut = state.map.drives.some((drive) => drive.state === 'out')
          const faults = faultsOf(state.map).filter((fault) => !fault.startsWith('drive'))
          if (!hasOut && faults.length > 0) throw new Error(`${kind}: ${faults.join('; ')}`)
        }
      },
    ),
    { numRuns: 25 },
  )
  t.pass('all of them')
})
