// What has to move: as the table says, one shard of a blob on each drive, and never off a drive for nothing.
import fc from 'fast-check'
import t from 'tap'
import { codeForDrives } from '../../../src/placement/build-map.ts'
import type { DriveState } from '../../../src/placement/cluster-map.ts'
import { chooseMoves } from '../../../src/placement/moves.ts'

const OUT = new Map<number, DriveState>()

function movesOf(
  drives: number[],
  row: number[],
  states: ReadonlyMap<number, DriveState> = OUT,
): [number, number][] {
  const ids = [...new Set([...drives, ...row])]
  const map = {
    drives: ids.map((id) => ({ id, uuid: `${id}`, weight: 1, state: states.get(id) ?? 'active' })),
    slots: [row],
    code: codeForDrives(6),
  }
  return [...chooseMoves(map, { partition: 0, drives })]
}

t.test('shards go where the table wants them', async (t) => {
  t.same(movesOf([1, 2, 3], [1, 2, 3, 4]), [])
  t.same(movesOf([1, 2, 3], [1, 4, 3, 2]), [[1, 4]])
  t.same(movesOf([1, 2, 3, 4], [1, 2]), [], 'slots that the table does not have stay')
})

t.test(
  'one waits for another to make room, and two with each other’s drives keep them',
  async (t) => {
    t.same(movesOf([1, 2, 3], [4, 1, 3]), [[0, 4]])
    t.same(movesOf([4, 2, 3], [4, 1, 3]), [[1, 1]])
    t.same(movesOf([1, 2, 3], [2, 1, 3]), [])
  },
)

t.test('a drive that is to be emptied is left, if need be for a spare', async (t) => {
  const draining = new Map([[2, 'draining' as const]])
  t.same(movesOf([1, 2, 3], [1, 4, 3, 5], draining), [[1, 4]])
  t.same(movesOf([1, 2, 3], [1, 3, 4, 5], draining), [[2, 4]], 'it waits for drive 3')
  t.same(movesOf([1, 2, 3], [3, 4, 1, 5], new Map([...draining, [4, 'out']])), [[1, 5]])
})

t.test('nothing moves off a drive that is out, nor onto one', async (t) => {
  t.same(movesOf([1, 2, 3], [4, 2, 3], new Map([[1, 'out']])), [])
  t.same(movesOf([1, 2, 3], [4, 2, 3], new Map([[4, 'out']])), [])
})

t.test('round after round everything arrives, and no drive ever has two shards', async (t) => {
  const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9]
  const placed = fc.shuffledSubarray(ids, { minLength: 3, maxLength: 6 })
  const row = fc.shuffledSubarray(ids, { minLength: 6, maxLength: 8 })
  fc.assert(
    fc.property(placed, row, fc.subarray(ids, { maxLength: 3 }), (drives, slots, leaving) => {
      // The table names no drive that leaves.
      const kept = slots.filter((id) => !leaving.includes(id))
      fc.pre(kept.length >= drives.length)
      const states = new Map(leaving.map((id) => [id, 'draining' as const]))
      const now = [...drives]
      for (let round = 0; round <= drives.length; round += 1) {
        const moves = movesOf(now, kept, states)
        for (const [slot, id] of moves) now[slot] = id
        if (new Set(now).size !== now.length) throw new Error(`two on one: ${now}`)
        if (moves.length > 0 && round === drives.length) throw new Error(`no end: ${now}`)
      }
      if (now.some((id) => leaving.includes(id))) throw new Error(`left on a drive: ${now}`)
      for (const [slot, id] of now.entries()) {
        if (id !== kept[slot] && !now.includes(kept[slot]!)) throw new Error(`${slot} of ${now}`)
      }
    }),
  )
  t.pass('all of them')
})
