// How full is full: shares, caps and floors, for bytes and inodes.
import fc from 'fast-check'
import t from 'tap'
import { gibibytes, mebibytes } from '../../../../src/kit/bytes.ts'
import type { DiskSpace } from '../../../../src/kit/world.ts'
import {
  isWorse,
  levelOf,
  reserveFor,
  SPACE_LEVELS,
} from '../../../../src/storage-node/space/levels.ts'

function disk(totalBytes: number, freeBytes: number, inodes = [0, 0]): DiskSpace {
  return { totalBytes, freeBytes, totalInodes: inodes[0]!, freeInodes: inodes[1]! }
}

t.test('shares of a usual disk, caps of a large one, floors of a small one', async (t) => {
  const at = (total: number, free: number): string => levelOf(disk(total, free))
  const usual = gibibytes(50)
  t.equal(at(usual, usual * 0.16), 'ample')
  t.equal(at(usual, usual * 0.14), 'near-full')
  t.equal(at(usual, usual * 0.09), 'no-moves')
  t.equal(at(usual, usual * 0.049), 'read-only')
  t.equal(at(usual, usual * 0.029), 'failsafe')
  const large = gibibytes(4096)
  t.equal(at(large, gibibytes(13)), 'ample')
  t.equal(at(large, gibibytes(5)), 'no-moves')
  t.equal(at(large, gibibytes(3)), 'read-only')
  t.equal(reserveFor(disk(mebibytes(64), 0), 'data').bytes, mebibytes(8))
})

t.test('inodes count like bytes, where there are any', async (t) => {
  const total = gibibytes(100)
  t.equal(levelOf(disk(total, total, [100_000, 4000])), 'read-only')
  t.equal(levelOf(disk(total, total, [100_000, 50_000])), 'ample')
  t.equal(levelOf(disk(total, total)), 'ample', 'none at all is no limit')
})

t.test('what LevelDB needs stays free as well', async (t) => {
  const space = disk(mebibytes(64), mebibytes(11))
  t.equal(levelOf(space), 'near-full')
  t.equal(levelOf(space, mebibytes(20)), 'failsafe')
})

t.test('a level is left for a better one only when a tenth more is free', async (t) => {
  const total = gibibytes(50)
  const at = (share: number): DiskSpace => disk(total, total * share)
  t.equal(levelOf(at(0.051), 0, 'read-only'), 'read-only')
  t.equal(levelOf(at(0.056), 0, 'read-only'), 'no-moves')
  t.equal(levelOf(at(0.9), 0, 'failsafe'), 'ample')
})

t.test('levels are in order on every file system, and so are reserves', async (t) => {
  const sizes = fc.record({
    totalBytes: fc.integer({ min: 1, max: 2 ** 45 }),
    totalInodes: fc.integer({ min: 0, max: 2 ** 31 }),
    needed: fc.integer({ min: 0, max: 2 ** 29 }),
    shares: fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    ),
  })
  fc.assert(
    fc.property(sizes, ({ totalBytes, totalInodes, needed, shares }) => {
      const [more, less] = [Math.max(...shares), Math.min(...shares)]
      const at = (share: number): DiskSpace =>
        disk(totalBytes, totalBytes * share, [totalInodes, totalInodes * share])
      const uses = ['move', 'data', 'metadata', 'upkeep'] as const
      const reserves = uses.map((use) => reserveFor(at(more), use, needed))
      const falls = reserves.every(
        ({ bytes, inodes }, index) =>
          index === 0 ||
          (bytes <= reserves[index - 1]!.bytes && inodes <= reserves[index - 1]!.inodes),
      )
      return falls && !isWorse(levelOf(at(more), needed), levelOf(at(less), needed))
    }),
  )
  t.equal(SPACE_LEVELS.length, 5)
})
