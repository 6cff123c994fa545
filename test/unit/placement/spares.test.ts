// Homes for lost shards: never two of a blob on one drive, and as near to the map as can be.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'
import { chooseHomes } from '../../../src/placement/spares.ts'
import { Seeded } from '../../support/seeded.ts'

await prepareDigests()

/** Slots do not depend on which drives are out. */
const maps = new Map<number, ClusterMap>()

function mapOf(driveCount: number, out: readonly number[] = []): ClusterMap {
  const drives = Array.from({ length: driveCount }, (_, index) => ({
    id: index + 1,
    uuid: `drive-${index + 1}`,
    weight: 1,
    state: out.includes(index + 1) ? ('out' as const) : ('active' as const),
  }))
  const built = maps.get(driveCount) ?? buildMap(drives, codeForDrives(driveCount), '7')
  maps.set(driveCount, built)
  return { ...built, drives }
}

t.test('a drive that serves gets its own shard again', async (t) => {
  const map = mapOf(8)
  const drives = map.slots[3]!.slice(0, 6)
  const homes = chooseHomes(map, { partition: 3, drives }, [1, 4])
  t.same(
    [...homes],
    [
      [1, drives[1]],
      [4, drives[4]],
    ],
  )
})

t.test('a slot that was never written goes where the map wants it, else to a spare', async (t) => {
  const map = mapOf(8)
  const home = map.slots[3]!
  const drives = home.slice(0, 6).with(2, MISSING_SLOT)
  t.same([...chooseHomes(map, { partition: 3, drives }, [2])], [[2, home[2]]])
  const without = mapOf(8, [home[2]!])
  const [[slot, driveId]] = [...chooseHomes(without, { partition: 3, drives }, [2])] as [
    [number, number],
  ]
  t.equal(slot, 2)
  t.ok(home.slice(6).includes(driveId))
})

t.test('thousands of losses: every home is live, of the partition, and used once', async (t) => {
  const random = new Seeded(5)
  const faults: string[] = []
  for (let round = 0; round < 3000; round += 1) {
    const driveCount = 2 + random.below(13)
    const out = Array.from({ length: random.below(4) }, () => 1 + random.below(driveCount))
    const map = mapOf(driveCount, out)
    const partition = random.below(256)
    const width = map.code.dataCount + map.code.parityCount
    const drives = map.slots[partition]!.slice(0, width).map((id) =>
      random.below(6) === 0 ? MISSING_SLOT : id,
    )
    const lost = [...drives.keys()].filter((slot) => {
      const isOut = out.includes(drives[slot]!) || drives[slot] === MISSING_SLOT
      return isOut || random.below(5) === 0
    })
    const homes = chooseHomes(map, { partition, drives }, lost)
    const after = drives.map((id, slot) => homes.get(slot) ?? id)
    const named = after.filter((id) => id !== MISSING_SLOT)
    const live = map.slots[partition]!.filter((id) => !out.includes(id)).length
    const good = [...after].filter((id) => id !== MISSING_SLOT && !out.includes(id)).length
    if (new Set(named).size !== named.length) faults.push(`${round}: a drive has two`)
    if (good !== Math.min(width, live)) faults.push(`${round}: ${good} of ${live} drives are used`)
    for (const [, id] of homes)
      if (out.includes(id) || !map.slots[partition]!.includes(id)) faults.push(`${round}: ${id}`)
  }
  t.same(faults, [])
})
