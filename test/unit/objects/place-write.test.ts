// Where new shards go when drives are full: never with less redundancy.
import t from 'tap'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { mebibytes } from '../../../src/kit/bytes.ts'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { shardCount } from '../../../src/kit/erasure-code.ts'
import { placeWrite, StoreFull, withRoom } from '../../../src/objects/place-write.ts'
import { FullAtBegin } from '../../../src/objects/shard-fan.ts'
import type { StoreParts } from '../../../src/objects/store-parts.ts'
import { everyDrive } from '../../../src/objects/write-rule.ts'
import { buildMap, codeForDrives } from '../../../src/placement/build-map.ts'

await prepareDigests()

const FIT = { full: new Set<number>(), away: new Set<number>() }

function partsWith(count: number, full: readonly number[]) {
  const drives = Array.from({ length: count }, (_, index) => ({
    ...{ id: index + 1, uuid: `u${index}`, weight: 1, state: 'active' as const },
  }))
  const map = buildMap(drives, codeForDrives(Math.min(count, 6)), '1')
  const node = { hasRoom: (id: number) => !full.includes(id) }
  const writeRule = everyDrive(async () => {})
  const parts = { coordinator: { state: { map } }, node, writeRule } as unknown as StoreParts
  return { map, parts, blob: { partition: 3, code: map.code, bytes: mebibytes(1) } }
}

t.test('a spare takes the place of a full drive', async (t) => {
  const { parts, blob, map } = partsWith(8, [2])
  const { code, drives } = placeWrite(blob, FIT, parts)
  t.same(code, map.code)
  t.equal(new Set(drives).size, 6)
  t.notOk(drives.includes(2))
})

t.test('without a spare the code keeps its parity', async (t) => {
  for (const full of [[1], [1, 2], [1, 2, 3]]) {
    const { parts, blob, map } = partsWith(6, full)
    const { code, drives } = placeWrite(blob, FIT, parts)
    t.equal(code.parityCount, map.code.parityCount)
    t.equal(shardCount(code), 6 - full.length)
    t.ok(drives.every((id) => id > full.length))
  }
})

t.test('too few drives with room refuse rather than give less redundancy', async (t) => {
  const { parts, blob } = partsWith(6, [1, 2, 3, 4])
  t.throws(() => placeWrite(blob, FIT, parts), StoreFull)
  const one = partsWith(1, [1])
  const code = { ...one.map.code, dataCount: 1, parityCount: 0 }
  t.throws(() => placeWrite({ ...one.blob, code }, FIT, one.parts), StoreFull)
})

t.test('a drive that turns out to be full is left out, once', async (t) => {
  const { parts, blob } = partsWith(8, [])
  const tried: number[][] = []
  const drives = await withRoom(
    (unfit) => placeWrite(blob, unfit, parts),
    async (placement) => {
      tried.push(placement.drives)
      if (tried.length < 3)
        throw new FullAtBegin(new DriveUnavailable(placement.drives[0]!, 'full'))
      return placement.drives
    },
  )
  t.equal(tried.length, 3)
  t.notOk(drives.includes(tried[0]![0]!) || drives.includes(tried[1]![0]!))
})
