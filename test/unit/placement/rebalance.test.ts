// Edits of the table of slots: distinct drives, fair shares, and hardly a slot moved that did not have to.
import fc from 'fast-check'
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { type ErasureCode, shardCount } from '../../../src/kit/erasure-code.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { ClusterMap, MapDrive } from '../../../src/placement/cluster-map.ts'
import {
  idealLoads,
  rebalance,
  slotCountFor,
  stayingDrives,
} from '../../../src/placement/rebalance.ts'

await prepareDigests()

const SEED = '12345678901234567890'
const CODE: ErasureCode = codeForDrives(6)
const WIDTH = shardCount(CODE)

function driveOf(id: number, weight = 1): MapDrive {
  return { id, uuid: `drive-${id}`, weight, state: 'active' }
}

function mapOf(weights: readonly number[], code = CODE): ClusterMap {
  return buildMap(
    weights.map((weight, index) => driveOf(index + 1, weight)),
    code,
    SEED,
  )
}

function edit(map: ClusterMap, drives: MapDrive[]): ClusterMap {
  return { ...map, drives, slots: rebalance({ ...map, drives }) }
}

function leaving(map: ClusterMap, ids: readonly number[]): MapDrive[] {
  return map.drives.map((drive) =>
    ids.includes(drive.id) ? { ...drive, state: 'draining', isLeaving: true } : drive,
  )
}

/** Slots of the code that each drive has. */
function loadsOf({ slots }: ClusterMap, width: number): Map<number, number> {
  const loads = new Map<number, number>()
  for (const id of slots.flatMap((row) => row.slice(0, width)))
    loads.set(id, (loads.get(id) ?? 0) + 1)
  return loads
}

/** Shards that the change of the table moves. */
function movedSlots(before: ClusterMap, after: ClusterMap, width: number): number {
  return before.slots.reduce(
    (sum, row, partition) =>
      sum + row.slice(0, width).filter((id, at) => after.slots[partition]![at] !== id).length,
    0,
  )
}

/** No way to fair shares moves fewer. */
function leastMoves(before: ClusterMap, after: ClusterMap, width: number): number {
  const loads = loadsOf(before, width)
  const ideals = idealLoads(stayingDrives(after.drives), before.slots.length, width)
  return [...ideals].reduce(
    (sum, [id, ideal]) => sum + Math.max(0, ideal - (loads.get(id) ?? 0)),
    0,
  )
}

/** What is wrong with a table. */
function faultsOf(map: ClusterMap): string[] {
  const staying = stayingDrives(map.drives)
  const width = shardCount(map.code)
  const ids = new Set(staying.map(({ id }) => id))
  const rows = map.slots.flatMap((row, partition) => [
    ...(row.length === slotCountFor(staying.length, map.code)
      ? []
      : [`${partition}: ${row.length}`]),
    ...(new Set(row).size === row.length ? [] : [`${partition}: a drive twice`]),
    ...(row.every((id) => ids.has(id)) ? [] : [`${partition}: a drive that leaves`]),
  ])
  const loads = loadsOf(map, width)
  const ideals = idealLoads(staying, map.slots.length, width)
  const shares = [...ideals].flatMap(([id, ideal]) => {
    const load = loads.get(id) ?? 0
    const isFair = Math.abs(load - ideal) <= Math.max(1, ideal * 0.02)
    return isFair ? [] : [`drive ${id}: ${load} slots, its share is ${ideal.toFixed(1)}`]
  })
  return [...rows, ...shares]
}

for (const [name, weightOf] of [
  ['equal weights', () => 1],
  ['mixed weights', (id: number) => [1000, 4000, 2000, 500][id % 4]!],
] as const) {
  t.test(`6 → 7 → 12 → 7 → 6 drives, ${name}: shards moved are near the least`, async (t) => {
    let map = mapOf([1, 2, 3, 4, 5, 6].map(weightOf))
    let movedInAll = 0
    let leastInAll = 0
    const steps: [string, (map: ClusterMap) => MapDrive[]][] = [
      ['6 → 7', ({ drives }) => [...drives, driveOf(7, weightOf(7))]],
      [
        '7 → 12',
        ({ drives }) => [...drives, ...[8, 9, 10, 11, 12].map((id) => driveOf(id, weightOf(id)))],
      ],
      ['12 → 7', (map) => leaving(map, [2, 4, 6, 8, 10])],
      ['7 → 6', (map) => leaving(map, [2, 4, 6, 8, 10, 1])],
    ]
    for (const [step, drivesOf] of steps) {
      const next = edit(map, drivesOf(map))
      const moved = movedSlots(map, next, WIDTH)
      const least = leastMoves(map, next, WIDTH)
      t.comment(`${step}: ${moved} slots moved, ${least.toFixed(0)} at least`)
      t.same(faultsOf(next), [], step)
      t.ok(moved <= least * 1.3 + 4, `${step}: ${moved} of ${least.toFixed(0)}`)
      movedInAll += moved
      leastInAll += least
      map = next
    }
    t.comment(`in all ${movedInAll}, ${leastInAll.toFixed(0)} at least`)
    t.ok(movedInAll <= leastInAll * 1.3)
  })
}

t.test('one drive after the other: each step is near its least', async (t) => {
  let map = mapOf([1, 1, 1, 1, 1, 1])
  for (let id = 7; id <= 12; id += 1) {
    const next = edit(map, [...map.drives, driveOf(id)])
    const moved = movedSlots(map, next, WIDTH)
    const least = leastMoves(map, next, WIDTH)
    t.comment(`${id - 1} → ${id}: ${moved} slots moved, ${least.toFixed(0)} at least`)
    t.ok(moved <= least * 1.05 + 4)
    t.same(faultsOf(next), [])
    map = next
  }
})

t.test('a drive that leaves gives up its slots, and hardly any other moves', async (t) => {
  const map = mapOf(Array(8).fill(1))
  const next = edit(map, leaving(map, [3]))
  t.same(faultsOf(next), [])
  const others = map.slots.flatMap((row, partition) =>
    row.slice(0, WIDTH).filter((id, at) => id !== 3 && next.slots[partition]![at] !== id),
  )
  t.ok(others.length <= 10, `${others.length} slots of drives that stay`)
})

t.test(
  'a drive that is lost is followed by the spare of its partition, where that has room',
  async (t) => {
    const map = mapOf(Array(8).fill(1))
    const lost = { ...driveOf(3), state: 'out' as const, isLeaving: true as const }
    const next = edit(map, map.drives.with(2, lost))
    let followed = 0
    let given = 0
    for (const [partition, row] of map.slots.entries()) {
      const position = row.slice(0, WIDTH).indexOf(3)
      if (position < 0) continue
      given += 1
      if (next.slots[partition]![position] === row[WIDTH]) followed += 1
    }
    t.ok(followed > given * 0.8, `${followed} of ${given}`)
  },
)

t.test(
  'small objects, too, are spread: every drive has its share of the first positions',
  async (t) => {
    let map = mapOf(Array(6).fill(1))
    for (const drives of [
      [...map.drives, ...[7, 8, 9, 10, 11, 12].map((id) => driveOf(id))],
      leaving(mapOf(Array(12).fill(1)), [1, 2, 9]),
    ]) {
      map = edit(map, drives)
      const loads = loadsOf(map, 3)
      const share = (256 * 3) / stayingDrives(drives).length
      for (const { id } of stayingDrives(drives)) {
        const load = loads.get(id) ?? 0
        t.ok(Math.abs(load - share) <= share * 0.1, `drive ${id}: ${load} of ${share.toFixed(0)}`)
      }
    }
  },
)

t.test('a drive that is out keeps its slots and gets none', async (t) => {
  const map = mapOf(Array(8).fill(1))
  const drives = [...map.drives, driveOf(9)].map((drive) =>
    drive.id === 5 ? { ...drive, state: 'out' as const } : drive,
  )
  const next = edit(map, drives)
  const before = loadsOf(map, WIDTH).get(5)!
  t.ok(loadsOf(next, WIDTH).get(5)! <= before)
  for (const [partition, row] of next.slots.entries())
    for (const [at, id] of row.slice(0, WIDTH).entries())
      if (id === 5 && map.slots[partition]![at] !== 5) t.fail(`partition ${partition} got drive 5`)
})

t.test('another code: the positions that are left stay as they are', async (t) => {
  const map = mapOf(Array(12).fill(1), codeForDrives(12))
  const code = codeForDrives(7)
  const next = { ...map, code, slots: rebalance({ ...map, code }) }
  t.same(faultsOf(next), [])
  t.ok(movedSlots(map, next, WIDTH) <= 20)
})

t.test(
  'whatever comes and goes: rows of distinct drives, fair shares, few moves, the same every time',
  async (t) => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'leave', 'weigh', 'out', 'back'),
      at: fc.nat(100),
      weight: fc.integer({ min: 1, max: 20 }),
    })
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 6, maxLength: 14 }),
        fc.array(step, { maxLength: 8 }),
        (weights, steps) => {
          let map = mapOf(weights)
          let nextId = weights.length + 1
          for (const { kind, at, weight } of steps) {
            const staying = stayingDrives(map.drives)
            const { id } = staying[at % staying.length]!
            const change = (fields: Partial<MapDrive>): MapDrive[] =>
              map.drives.map((drive) => (drive.id === id ? { ...drive, ...fields } : drive))
            const active = staying.filter(({ state }) => state === 'active').length
            let drives = map.drives
            if (kind === 'add') drives = [...map.drives, driveOf(nextId++, weight)]
            else if (kind === 'leave' && active > WIDTH) drives = leaving(map, [id])
            else if (kind === 'weigh') drives = change({ weight })
            else if (kind === 'out' && active > WIDTH) drives = change({ state: 'out' })
            else if (kind === 'back') drives = change({ state: 'active' })
            const next = edit(map, drives)
            fc.pre(JSON.stringify(edit(map, drives)) === JSON.stringify(next))
            const someOut = staying.some(({ state }) => state === 'out')
            const faults = faultsOf(next).filter((fault) => !someOut || !fault.startsWith('drive'))
            if (kind === 'out')
              faults.splice(0, faults.length, ...faults.filter((f) => !f.startsWith('drive')))
            if (faults.length > 0) throw new Error(`${kind}: ${faults.join('; ')}`)
            const moved = movedSlots(map, next, WIDTH)
            const least = leastMoves(map, next, WIDTH)
            if (moved > least * 1.3 + 12)
              throw new Error(`${kind}: ${moved} moved, ${least} at least`)
            map = next
          }
        },
      ),
      { numRuns: 40 },
    )
    t.pass('all of them')
  },
)
