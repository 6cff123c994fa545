// Results of two runs side by side, and ratios that say what they miss.
import t from 'tap'
import { compareResults, figuresOf } from '../../../bench/compare.ts'
import { ratio } from '../../../bench/ratios.bench.ts'

const machine = { processor: 'P', commit: 'abc' }

t.test('a figure is named by its bench, the words of its row and what it measures', async (t) => {
  const loads = [{ store: 'embedded', load: 'head', perSecond: 5, unit: 'requests', errors: 0 }]
  const digests = [{ digest: 'MD5', chunkBytes: 65536, gigabytesPerSecond: 0.8 }]
  const figures = figuresOf({ machine, date: '2026-11-22T10:00:00.000Z', loads, digests })
  t.strictSame(Object.fromEntries(figures), {
    'loads embedded head requests: perSecond': 5,
    'loads embedded head requests: errors': 0,
    'digests MD5 65536: gigabytesPerSecond': 0.8,
  })
})

t.test('a figure that one of the runs has not is empty there', async (t) => {
  const one = { machine, date: '2026-11-21T10:00:00.000Z', segment: [{ operation: 'w', rate: 7 }] }
  const other = { machine, date: '2026-11-22T10:00:00.000Z', codec: [{ code: '4+2', rate: 19 }] }
  t.strictSame(compareResults([one, other]), [
    '                 11-21T10:00  11-22T10:00',
    '                         abc          abc',
    'segment w: rate            7             ',
    'codec 4+2: rate                        19',
  ])
})

t.test('a ratio without one of its sides is not measured, and says so', async (t) => {
  t.strictSame(ratio('a to b', { atLeast: 2 }, [3, 2]), {
    ratio: 'a to b',
    atLeast: 2,
    measured: 1.5,
  })
  const missing = ratio('a to b', { atMost: 1 }, [undefined, 2], 'b is not installed')
  t.strictSame(missing, {
    ...{ ratio: 'a to b', atMost: 1, measured: null },
    note: 'b is not installed',
  })
})
