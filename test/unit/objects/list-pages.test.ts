// The merge of partitions' scans against a sorted list of everything.
import fc from 'fast-check'
import t from 'tap'
import { compareBytes } from '../../../src/kit/bytes.ts'
import type { ScanEntry } from '../../../src/metadata/contract.ts'
import { mergeScans, type ScanPartition } from '../../../src/objects/list-pages.ts'
import { BucketGone } from '../../../src/objects/object-store.ts'

function byBytes(left: string, right: string): number {
  return compareBytes(Buffer.from(left), Buffer.from(right))
}

/** A partition that holds `keys` and answers pages as the real one does. */
function partitionOf(keys: readonly string[], delimiter: string): ScanPartition<string> {
  return async ({ after, afterPrefix, limit }) => {
    const entries: ScanEntry<string>[] = []
    for (const key of [...keys].sort(byBytes)) {
      if (after !== '' && (byBytes(key, after) <= 0 || (afterPrefix && key.startsWith(after))))
        continue
      const end = delimiter === '' ? -1 : key.indexOf(delimiter)
      const entry: ScanEntry<string> =
        end < 0
          ? { kind: 'entry', key, record: key }
          : { kind: 'prefix', prefix: key.slice(0, end + delimiter.length) }
      const last = entries.at(-1)
      if (entry.kind === 'prefix' && last?.kind === 'prefix' && last.prefix === entry.prefix)
        continue
      if (entries.length === limit) return { entries, more: true }
      entries.push(entry)
    }
    return { entries, more: false }
  }
}

function expected(keys: readonly string[], delimiter: string): string[] {
  const names = keys.map((key) => {
    const end = delimiter === '' ? -1 : key.indexOf(delimiter)
    return end < 0 ? key : key.slice(0, end + delimiter.length)
  })
  return [...new Set(names)].sort(byBytes)
}

const START = { after: '', afterPrefix: false, afterId: '' }
const key = fc.string({
  unit: fc.constantFrom('a', 'b', '/', 'é', '\u{1f600}', '\uffee'),
  minLength: 1,
  maxLength: 6,
})

t.test('page by page it gives everything once and in byte order', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { maxLength: 60 }),
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom('', '/'),
      async (keys, limit, delimiter) => {
        const shares = [0, 1, 2].map((share) => keys.filter((_, index) => index % 3 === share))
        const scans = shares.map((share) => partitionOf(share, delimiter))
        const seen: string[] = []
        let from = START
        for (let pages = 0; pages < 200; pages += 1) {
          const page = await mergeScans(scans, from, limit, () => '')
          if (page.entries.length > limit) return false
          seen.push(
            ...page.entries.map((entry) => (entry.kind === 'entry' ? entry.key : entry.prefix)),
          )
          if (page.last === undefined) break
          const last = page.entries.at(-1)!
          from = { after: page.last, afterPrefix: last.kind === 'prefix', afterId: '' }
        }
        return JSON.stringify(seen) === JSON.stringify(expected(keys, delimiter))
      },
    ),
  )
  t.pass()
})

t.test('a page that ends with the last entry is the last page', async (t) => {
  const scans = [partitionOf(['a', 'c'], ''), partitionOf(['b'], '')]
  const page = await mergeScans(scans, START, 3, () => '')
  t.equal(page.entries.length, 3)
  t.equal(page.last, undefined)
})

t.test('a bucket that is gone is said, not listed as empty', async (t) => {
  await t.rejects(
    mergeScans([async () => 'bucket-gone'], START, 3, () => ''),
    BucketGone,
  )
})
