// The cache of rows against a slow twin: it may forget, it may never be wrong.
import fc from 'fast-check'
import t from 'tap'
import { RowCache } from '../../../src/storage-node/metadata-host/row-cache.ts'

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

t.test('what was kept is found, missing rows included', async (t) => {
  const cache = new RowCache()
  t.equal(cache.find(bytes('a')), undefined)
  cache.keep(bytes('a'), bytes('1'), cache.generation)
  cache.keep(bytes('b'), undefined, cache.generation)
  t.same(cache.find(bytes('a'))!.value, Uint8Array.from(bytes('1')))
  t.ok(cache.find(bytes('b')), 'known not to exist')
  t.equal(cache.find(bytes('b'))!.value, undefined)
})

t.test('a change is followed, and what was read before it is not kept after it', async (t) => {
  const cache = new RowCache()
  const { generation } = cache
  cache.keep(bytes('a'), bytes('1'), generation)
  cache.apply([
    [
      { key: bytes('a'), value: bytes('2') },
      { key: bytes('c'), value: bytes('3') },
    ],
  ])
  t.same(cache.find(bytes('a'))!.value, Uint8Array.from(bytes('2')))
  t.equal(cache.find(bytes('c')), undefined, 'nobody read it yet')
  cache.keep(bytes('c'), bytes('old'), generation)
  t.equal(cache.find(bytes('c')), undefined, 'an older read')
  cache.apply([[{ key: bytes('a'), value: undefined }]])
  t.equal(cache.find(bytes('a'))!.value, undefined)
})

t.test('rows not used for longest go first, and rows that are too large never come', async (t) => {
  const cache = new RowCache(3 * 201)
  const row = Buffer.alloc(100)
  for (const key of ['a', 'b', 'c']) cache.keep(bytes(key), row, cache.generation)
  cache.find(bytes('a'))
  cache.keep(bytes('d'), row, cache.generation)
  t.ok(cache.find(bytes('a')))
  t.equal(cache.find(bytes('b')), undefined)
  cache.keep(bytes('e'), Buffer.alloc(10_000), cache.generation)
  t.equal(cache.find(bytes('e')), undefined)
  t.ok(cache.find(bytes('d')), 'and push nothing out')
})

t.test('over any history it says what the rows are, or nothing', async (t) => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const value = fc.option(fc.constantFrom('1', '22', '333'), { nil: undefined })
  const step = fc.oneof(
    fc.record({ kind: fc.constant('read' as const), key }),
    fc.record({ kind: fc.constant('change' as const), key, value }),
    fc.record({ kind: fc.constant('late read' as const), key, changed: key, value }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const cache = new RowCache(450)
      const rows = new Map<string, string | undefined>()
      const change = (name: string, text: string | undefined): void => {
        rows.set(name, text)
        cache.apply([[{ key: bytes(name), value: text === undefined ? undefined : bytes(text) }]])
      }
      const read = (name: string): Buffer | undefined => {
        const text = rows.get(name)
        return text === undefined ? undefined : bytes(text)
      }
      for (const each of steps) {
        const { generation } = cache
        if (each.kind === 'change') change(each.key, each.value)
        if (each.kind === 'read') cache.keep(bytes(each.key), read(each.key), generation)
        if (each.kind === 'late read') {
          const before = read(each.key)
          change(each.changed, each.value)
          cache.keep(bytes(each.key), before, generation)
        }
        for (const name of ['a', 'b', 'c', 'd']) {
          const found = cache.find(bytes(name))
          const text = found?.value && Buffer.from(found.value).toString()
          if (found && text !== rows.get(name)) return false
        }
      }
      return true
    }),
  )
  t.pass()
})
