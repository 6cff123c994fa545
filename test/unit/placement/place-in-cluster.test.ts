// Writes while nodes are away: parity stays, no node gets more than can be lost with it, and too little is nothing.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { type ErasureCode, MatrixId, shardCount } from '../../../src/kit/erasure-code.ts'
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'
import { placeBlob } from '../../../src/placement/place.ts'
import { quorumOf } from '../../../src/placement/quorum.ts'
import { chooseHomes } from '../../../src/placement/spares.ts'
import { withoutDrives } from '../../../src/placement/without-drives.ts'

await prepareDigests()

function mapOf(nodes: number, drives: number, code: ErasureCode): ClusterMap {
  const all = Array.from({ length: nodes * drives }, (_, at) => ({
    ...{ id: at + 1, uuid: `drive-${at + 1}`, weight: 1, state: 'active' as const },
    nodeId: `n${at % nodes}`,
  }))
  return buildMap(all, code, '12345678901234567890')
}

function withoutNodes(map: ClusterMap, nodes: readonly string[]): ClusterMap {
  const nodeOf = (id: number): string => map.drives.find((drive) => drive.id === id)!.nodeId!
  return withoutDrives(map, (id) => nodes.includes(nodeOf(id)))
}

/** Shards of a blob on the node that has most of them. */
function mostOnNode(map: ClusterMap, drives: readonly number[]): number {
  const counts = new Map<string, number>()
  for (const id of drives) {
    const node = map.drives.find((drive) => drive.id === id)?.nodeId
    if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + 1)
  }
  return Math.max(...counts.values())
}

t.test('one drive in each of six nodes: the code shrinks by the nodes that are away', async (t) => {
  const map = mapOf(6, 1, codeForDrives(6))
  for (const [away, name] of [
    [['n0'], '3+2'],
    [['n0', 'n3'], '2+2'],
    [['n0', 'n3', 'n5'], '1+2'],
  ] as const) {
    const { code, drives } = placeBlob(withoutNodes(map, away), 17, map.code)!
    t.equal(`${code.dataCount}+${code.parityCount}`, name)
    t.equal(new Set(drives).size, shardCount(code))
    t.notOk(drives.includes(MISSING_SLOT))
  }
  const copies = { ...map.code, dataCount: 1 }
  const two = placeBlob(withoutNodes(map, ['n0', 'n1', 'n2', 'n3']), 17, copies)!
  t.same([two.code, two.drives.filter((id) => id === MISSING_SLOT).length], [copies, 1])
  const one = withoutNodes(map, ['n0', 'n1', 'n2', 'n3', 'n4'])
  t.equal(placeBlob(one, 17, copies), undefined, 'one copy is none')
})

t.test('whichever nodes are away, no node gets more shards than may be lost', async (t) => {
  for (const [nodes, drives] of [
    [3, 4],
    [3, 6],
    [4, 4],
    [6, 3],
  ] as const) {
    const map = mapOf(nodes, drives, codeForDrives(nodes * drives))
    for (const away of [['n0'], ['n1'], ['n0', 'n2']]) {
      const present = withoutNodes(map, away)
      for (const wanted of [map.code, { ...map.code, dataCount: 1 }]) {
        for (let partition = 0; partition < map.partitionCount; partition += 1) {
          const placed = placeBlob(present, partition, wanted)
          if (placed === undefined) {
            if (away.length < nodes - 1) t.fail(`${nodes} × ${drives} without ${away}: nothing`)
            continue
          }
          const named = placed.drives.filter((id) => id !== MISSING_SLOT)
          if (new Set(named).size !== named.length) t.fail('a drive twice')
          if (mostOnNode(map, named) > wanted.parityCount) t.fail(`too much on a node: ${named}`)
          if (named.length < quorumOf(placed.code)) t.fail('fewer than a write waits for')
          if (named.some((id) => present.drives[id - 1]!.state === 'out')) t.fail('a drive is away')
        }
      }
    }
  }
  t.pass('all of them')
})

t.test('who keeps its slot keeps it: a spare takes that of a drive that is away', async (t) => {
  const map = mapOf(8, 2, codeForDrives(6))
  const present = withoutNodes(map, ['n3'])
  for (const [partition, row] of map.slots.entries()) {
    const { code, drives } = placeBlob(present, partition, map.code)!
    if (shardCount(code) < 6) continue
    for (const [slot, id] of row.slice(0, 6).entries())
      if (map.drives[id - 1]!.nodeId !== 'n3' && drives[slot] !== id) t.fail(`${partition}.${slot}`)
  }
  t.pass('all of them')
})

t.test('shards are made again on nodes that have not too much already', async (t) => {
  const map = mapOf(5, 3, {
    dataCount: 4,
    parityCount: 2,
    matrix: MatrixId.CentredVandermonde,
  })
  const present = withoutNodes(map, ['n2'])
  let crowded = 0
  for (const [partition, row] of map.slots.entries()) {
    const drives = row.slice(0, 6)
    const lost = [...drives.keys()].filter((at) => map.drives[drives[at]! - 1]!.nodeId === 'n2')
    const homes = chooseHomes(present, { partition, drives }, lost)
    const after = drives.map((id, slot) => homes.get(slot) ?? (lost.includes(slot) ? 0 : id))
    const free = row.slice(6).filter((id) => map.drives[id - 1]!.nodeId !== 'n2')
    const isForced = free.length <= lost.length
    if (!isForced && mostOnNode(map, after) > 2) crowded += 1
  }
  t.equal(crowded, 0)
})
