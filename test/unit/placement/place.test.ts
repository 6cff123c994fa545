// Placement: every key finds one partition, every blob distinct live drives, in slots that stay put.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { MatrixId, shardCount } from '../../../src/kit/erasure-code.ts'
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'
import { metaPartitionOf, partitionOfKey, placeBlob } from '../../../src/placement/place.ts'

await prepareDigests()

function mapOf(driveCount: number, out: readonly number[] = []): ClusterMap {
  const drives = Array.from({ length: driveCount }, (_, index) => ({
    id: index + 1,
    uuid: `drive-${index + 1}`,
    weight: 1,
    state: 'active' as const,
  }))
  const map = buildMap(drives, codeForDrives(driveCount), '12345678901234567890')
  const withOut = drives.map((drive) =>
    out.includes(drive.id) ? { ...drive, state: 'out' as const } : drive,
  )
  return { ...map, drives: withOut }
}

t.test('the code follows the number of drives', async (t) => {
  const wanted: [number, number, number][] = [
    [1, 1, 0],
    [2, 1, 1],
    [3, 1, 2],
    [4, 2, 2],
    [5, 3, 2],
    [6, 4, 2],
    [8, 4, 2],
    [9, 6, 3],
    [11, 6, 3],
    [12, 8, 4],
    [20, 8, 4],
  ]
  for (const [drives, dataCount, parityCount] of wanted) {
    t.match(codeForDrives(drives), { dataCount, parityCount }, `${drives} drives`)
  }
})

t.test('a map gives every partition distinct drives and every drive its share', async (t) => {
  for (const driveCount of [1, 2, 4, 6, 7, 12, 20]) {
    const map = mapOf(driveCount)
    t.equal(map.slots.length, map.partitionCount)
    const firstSlot = new Map<number, number>()
    for (const drives of map.slots) {
      if (new Set(drives).size !== drives.length) t.fail('a drive twice')
      if (drives.length < shardCount(map.code)) t.fail('a shard without a slot')
      firstSlot.set(drives[0]!, (firstSlot.get(drives[0]!) ?? 0) + 1)
    }
    const share = map.partitionCount / driveCount
    for (const count of firstSlot.values())
      t.ok(Math.abs(count - share) <= share * 0.1 + 1, `${count} of ${share}`)
  }
})

t.test('the same drives and seed give the same map', async (t) => {
  t.same(mapOf(7), mapOf(7))
})

t.test(
  'keys spread over all partitions, and their metadata partition is a prefix of them',
  async (t) => {
    const map = mapOf(6)
    const seen = new Set<number>()
    for (let index = 0; index < 5000; index += 1) {
      const partition = partitionOfKey(map, 7, `key/${index}/é`)
      t.ok(partition >= 0 && partition < map.partitionCount)
      t.ok(metaPartitionOf(map, partition) < map.metaPartitionCount)
      seen.add(partition)
    }
    t.equal(seen.size, map.partitionCount)
    t.not(
      partitionOfKey(map, 1, 'a') === partitionOfKey(map, 2, 'a') &&
        partitionOfKey(map, 1, 'b') === partitionOfKey(map, 2, 'b') &&
        partitionOfKey(map, 1, 'c') === partitionOfKey(map, 2, 'c'),
      true,
      'the bucket counts',
    )
  },
)

t.test('all drives live: a blob lies as the table says', async (t) => {
  const map = mapOf(6)
  for (let partition = 0; partition < map.partitionCount; partition += 1) {
    const placement = placeBlob(map, partition, map.code)!
    t.same(placement.drives, map.slots[partition]!.slice(0, 6))
  }
})

t.test('a spare takes the slot of a drive that is out, and no other slot moves', async (t) => {
  const healthy = mapOf(8)
  const map = mapOf(8, [3])
  for (let partition = 0; partition < map.partitionCount; partition += 1) {
    const before = placeBlob(healthy, partition, map.code)!
    const placement = placeBlob(map, partition, map.code)!
    t.same(placement.code, map.code)
    t.notOk(placement.drives.includes(3))
    t.equal(new Set(placement.drives).size, 6)
    placement.drives.forEach((id, slot) => {
      if (before.drives[slot] !== 3) t.equal(id, before.drives[slot])
    })
  }
})

t.test('without spares parity is kept and data shrinks', async (t) => {
  const map = mapOf(6, [1, 4])
  const placement = placeBlob(map, 0, map.code)!
  t.match(placement.code, { dataCount: 2, parityCount: 2 })
  t.equal(placement.drives.length, 4)
})

t.test('m drives or fewer left: copies on all of them, the rest is owed', async (t) => {
  const map = mapOf(4, [1, 2])
  const placement = placeBlob(map, 0, map.code)!
  t.match(placement.code, { dataCount: 1, parityCount: 2 })
  t.equal(placement.drives.filter((id) => id === MISSING_SLOT).length, 1)
  t.equal(placement.drives.filter((id) => id !== MISSING_SLOT).length, 2)
  t.equal(placeBlob(mapOf(2, [1, 2]), 0, map.code), undefined, 'no drive at all')
})

t.test('copies of a small object take the first slots', async (t) => {
  const map = mapOf(6)
  const code = { dataCount: 1, parityCount: 2, matrix: MatrixId.CentredVandermonde }
  t.same(placeBlob(map, 9, code)!.drives, map.slots[9]!.slice(0, 3))
})
