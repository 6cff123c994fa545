// The cache of rows against a slow twin: it may forget, it may never be wrong.
import fc from 'fast-check'
import t from 'tap'
import type { RowChange } from '../../../src/metadata/log/contract.ts'
import { type ReadRows, RowCache } from '../../../src/storage-node/metadata-host/row-cache.ts'

/** A read that ends when a test says so. */
function openRead(): { read: ReadRows; end: (...rows: (Buffer | undefined)[]) => void } {
  let end = (_: readonly (Buffer | undefined)[]): void => {}
  const ended = new Promise<readonly (Buffer | undefined)[]>((resolve) => {
    end = resolve
  })
  return { read: () => ended, end: (...rows) => end(rows) }
}

function keep(cache: RowCache, key: string, row: Buffer | undefined): Promise<unknown> {
  return cache.read(bytes(key), async () => [row])
}

function bytes(text: string): Buffer {
  return Buffer.from(text)
}

t.test('what was kept is found, missing rows included', async (t) => {
  const cache = new RowCache()
  t.equal(cache.find(bytes('a')), undefined)
  await keep(cache, 'a', bytes('1'))
  await keep(cache, 'b', undefined)
  t.same(cache.find(bytes('a'))!.value, Uint8Array.from(bytes('1')))
  t.ok(cache.find(bytes('b')), 'known not to exist')
  t.equal(cache.find(bytes('b'))!.value, undefined)
})

t.test('a change is followed, and what was read before it is not kept after it', async (t) => {
  const cache = new RowCache()
  await keep(cache, 'a', bytes('1'))
  const late = openRead()
  const other = openRead()
  const reads = [cache.read(bytes('c'), late.read), cache.read(bytes('d'), other.read)]
  cache.apply([
    [
      { key: bytes('a'), value: bytes('2') },
      { key: bytes('c'), value: bytes('3') },
    ],
  ])
  t.same(cache.find(bytes('a'))!.value, Uint8Array.from(bytes('2')))
  t.equal(cache.find(bytes('c')), undefined, 'nobody has read it')
  late.end(bytes('old'))
  other.end(bytes('4'))
  t.same(await Promise.all(reads), [bytes('old'), bytes('4')])
  t.equal(cache.find(bytes('c')), undefined, 'an older read')
  t.same(cache.find(bytes('d'))!.value, Uint8Array.from(bytes('4')), 'nothing changed it')
  cache.apply([[{ key: bytes('a'), value: undefined }]])
  t.equal(cache.find(bytes('a'))!.value, undefined)
})

t.test(
  'a row is read once for all who ask, but not for those who come after a change',
  async (t) => {
    const cache = new RowCache()
    const first = openRead()
    const early = [1, 2].map(() => cache.read(bytes('a'), first.read))
    cache.apply([[{ key: bytes('a'), value: bytes('new') }]])
    const second = openRead()
    const after = cache.read(bytes('a'), second.read)
    second.end(bytes('new'))
    t.same(await after, bytes('new'))
    first.end(bytes('old'))
    t.same(await Promise.all(early), [bytes('old'), bytes('old')])
    t.same(cache.find(bytes('a'))!.value, Uint8Array.from(bytes('new')))
  },
)

t.test('rows that are read together are kept one by one', async (t) => {
  const cache = new RowCache()
  const alone = openRead()
  const together = openRead()
  const asked: string[] = []
  const b = cache.read(bytes('b'), alone.read)
  const all = cache.readAll([bytes('a'), bytes('b'), bytes('c')], (keys) => {
    asked.push(keys.map(String).join())
    return together.read(keys)
  })
  const c = cache.read(bytes('c'), alone.read)
  t.same(asked, ['a,c'], 'what is read already is not read again')
  cache.apply([[{ key: bytes('a'), value: bytes('new') }]])
  together.end(bytes('old'), bytes('3'))
  t.same(await c, bytes('3'))
  alone.end(undefined)
  await all
  t.equal(await b, undefined)
  t.equal(cache.find(bytes('a')), undefined, 'it was changed')
  t.ok(cache.find(bytes('b')))
  t.same(cache.find(bytes('c'))!.value, Uint8Array.from(bytes('3')))
})

t.test('who waits for a row that was read with others has no trouble of theirs', async (t) => {
  const cache = new RowCache()
  const broken = async (): Promise<never> => {
    throw new Error('a row is damaged')
  }
  const all = cache.readAll([bytes('a'), bytes('b')], broken)
  const b = cache.read(bytes('b'), async (keys) => keys.map(() => bytes('2')))
  await t.rejects(all, { message: 'a row is damaged' })
  t.same(await b, bytes('2'))
  t.ok(cache.find(bytes('b')))
  t.equal(cache.find(bytes('a')), undefined)
})

t.test('a read that fails is not kept, and the next one begins anew', async (t) => {
  const cache = new RowCache()
  const broken = async (): Promise<never> => {
    throw new Error('no drive')
  }
  await t.rejects(cache.read(bytes('a'), broken), { message: 'no drive' })
  t.equal(cache.find(bytes('a')), undefined)
  await keep(cache, 'a', bytes('1'))
  t.ok(cache.find(bytes('a')))
})

t.test('rows not used for longest go first, and rows that are too large never come', async (t) => {
  const cache = new RowCache(3 * 201)
  const row = Buffer.alloc(100)
  for (const key of ['a', 'b', 'c']) await keep(cache, key, row)
  cache.find(bytes('a'))
  await keep(cache, 'd', row)
  t.ok(cache.find(bytes('a')))
  t.equal(cache.find(bytes('b')), undefined)
  await keep(cache, 'e', Buffer.alloc(10_000))
  t.equal(cache.find(bytes('e')), undefined)
  t.ok(cache.find(bytes('d')), 'and push nothing out')
})

t.test(
  'a row that is used again and again is never pushed out, however many others come',
  async (t) => {
    const cache = new RowCache(8 * 201)
    const row = Buffer.alloc(100)
    await keep(cache, 'a', row)
    for (let other = 0; other < 100; other++) {
      await keep(cache, String.fromCharCode(1_000 + other), row)
      t.ok(cache.find(bytes('a')), `after ${other} others`)
    }
  },
)

t.test('over any history it says what the rows are, or nothing', async (t) => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  const value = fc.option(fc.constantFrom('1', '22', '333'), { nil: undefined })
  const step = fc.oneof(
    fc.record({ kind: fc.constant('read' as const), key }),
    fc.record({ kind: fc.constant('read-two' as const), key, other: key }),
    fc.record({ kind: fc.constant('end' as const), which: fc.nat(3) }),
    fc.record({ kind: fc.constant('change' as const), key, value }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const cache = new RowCache(450)
      const rows = new Map<string, string | undefined>()
      const underWay: (() => void)[] = []
      const answers: Promise<boolean>[] = []
      const readNow: ReadRows = (keys) => {
        const { read, end } = openRead()
        const texts = keys.map((each) => rows.get(String(each)))
        underWay.push(() => end(...texts.map((text) => (text === undefined ? text : bytes(text)))))
        return read(keys)
      }
      const look = async (name: string): Promise<boolean> => {
        // Anything that it was since the read was asked for.
        const right = new Set([rows.get(name)])
        changed.push((which, text) => which === name && right.add(text))
        const answer = await cache.read(bytes(name), readNow)
        return right.has(answer && Buffer.from(answer).toString())
      }
      const changed: ((name: string, text: string | undefined) => unknown)[] = []
      for (const each of steps) {
        if (each.kind === 'change') {
          rows.set(each.key, each.value)
          for (const hear of changed) hear(each.key, each.value)
          const row = each.value === undefined ? undefined : bytes(each.value)
          cache.apply([[{ key: bytes(each.key), value: row } as RowChange]])
        }
        if (each.kind === 'read') answers.push(look(each.key))
        if (each.kind === 'read-two')
          answers.push(
            cache.readAll([bytes(each.key), bytes(each.other)], readNow).then(() => true),
          )
        if (each.kind === 'end') {
          underWay.splice(each.which, 1)[0]?.()
          await new Promise((resolve) => setImmediate(resolve))
        }
        for (const name of ['a', 'b', 'c', 'd']) {
          const found = cache.find(bytes(name))
          const text = found?.value && Buffer.from(found.value).toString()
          if (found && text !== rows.get(name)) return false
        }
      }
      for (const end of underWay) end()
      return (await Promise.all(answers)).every((isRight) => isRight)
    }),
  )
  t.pass()
})
