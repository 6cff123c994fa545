// Drives for which too much waits already while metadata is served: their rows are as good as before.
import t, { type Test } from 'tap'
import { Overloaded } from '../../../src/kit/semaphore.ts'
import { MetaRows, type StoredCursor } from '../../../src/storage-node/meta-rows/meta-rows.ts'
import { Model, makeBed } from './metadata-testbed.ts'

const LAYOUT = { driveCount: 3, replicaCount: 2, partitionCount: 2 }

/** What is asked of rows is refused so many times, on any drive. */
function refuse(t: Test, what: 'apply' | 'cursor', times: number): { left: number } {
  const { apply, cursor } = MetaRows.prototype
  const refusals = { left: times }
  const mayBe = async (): Promise<void> => {
    if (refusals.left === 0) return
    refusals.left -= 1
    throw new Overloaded('too many wait already')
  }
  const replaced = {
    apply: async function (this: MetaRows, ...of: Parameters<typeof apply>): Promise<void> {
      await mayBe()
      await apply.apply(this, of)
    },
    cursor: function (this: MetaRows, ...of: Parameters<typeof cursor>): StoredCursor {
      const real = cursor.apply(this, of)
      return { ...real, next: (count) => mayBe().then(() => real.next(count)) }
    },
  }
  Object.assign(MetaRows.prototype, { [what]: replaced[what] })
  t.teardown(() => Object.assign(MetaRows.prototype, { apply, cursor }))
  return refusals
}

t.test('what could not be applied is applied later', async (t) => {
  const bed = await makeBed(t, LAYOUT)
  const model = new Model(1)
  for (let round = 0; round < 10; round += 1) await model.change(bed)
  const refusals = refuse(t, 'apply', 5)
  for (let round = 0; round < 10; round += 1) await model.change(bed)
  t.same([...model.doubtful], [])
  t.equal(refusals.left, 0)
  t.same(await model.differences(bed), [])
  t.equal(bed.host.damageCount, 0)
  await bed.close()
})

t.test('a listing for which there is no room is refused, and nothing is made anew', async (t) => {
  const bed = await makeBed(t, LAYOUT)
  const model = new Model(2)
  for (let round = 0; round < 20; round += 1) await model.change(bed)
  const refusals = refuse(t, 'cursor', 4)
  const { rows } = bed.host.partitionLog(0)
  const cursor = rows.scan({ from: new Uint8Array(), to: Buffer.alloc(8, 0xff) })
  for (let time = 0; refusals.left > 0 && time < 4; time += 1) {
    await t.rejects(cursor.next(5), { name: 'Overloaded' })
  }
  const first = await cursor.next(5)
  await cursor.close()
  const again = rows.scan({ from: new Uint8Array(), to: Buffer.alloc(8, 0xff) })
  t.same(first, await again.next(5), 'what was refused is not passed over')
  await again.close()
  t.same(await model.differences(bed), [])
  t.equal(bed.host.damageCount, 0)
  await bed.close()
})
