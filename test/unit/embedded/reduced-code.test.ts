// Which code REDUCED_REDUNDANCY has, and which it can not have.
import t from 'tap'
import { chooseReducedCode } from '../../../src/embedded/reduced-code.ts'
import { MatrixId, nameCode } from '../../../src/kit/erasure-code.ts'

function choose(standard: string, slotCount: number, asked?: string): string {
  const parse = (text: string) => {
    const [dataCount = 0, parityCount = 0] = text.split('+').map(Number)
    return { dataCount, parityCount }
  }
  const config = asked === undefined ? {} : { reducedRedundancyCode: parse(asked) }
  const code = { ...parse(standard), matrix: MatrixId.CentredVandermonde }
  return nameCode(chooseReducedCode(config, code, slotCount))
}

t.test('by default one parity shard less, and none only where there is none', async (t) => {
  for (const [standard, reduced] of [
    ['8+4', '8+3'],
    ['4+2', '4+1'],
    ['1+2', '1+1'],
    ['1+1', '1+1'],
    ['1+0', '1+0'],
  ] as const)
    t.equal(choose(standard, 16), reduced, standard)
})

t.test('as the option says', async (t) => {
  t.equal(choose('4+2', 6, '5+1'), '5+1')
  t.equal(choose('4+2', 6, '2+2'), '2+2')
  t.equal(choose('4+2', 6, '1+0'), '1+0')
})

t.test('but not with more parity, nor over more drives than a partition has', async (t) => {
  t.throws(() => choose('4+2', 8, '2+3'), {
    exitCode: 2,
    message: '--reduced-redundancy-code 2+3 has more parity than the code of the store, 4+2.',
  })
  t.throws(() => choose('4+2', 6, '6+1'), {
    exitCode: 2,
    message: '--reduced-redundancy-code 6+1 needs 7 drives, but a partition of this store has 6.',
  })
})
