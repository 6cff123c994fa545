// A sync that is shared is never one that had begun before it was asked for.
import t from 'tap'
import { SharedSyncs } from '../../../src/storage-node/shared-syncs.ts'

/** Syncs that end when we say so. */
class Held {
  readonly begun: string[] = []
  readonly #ends: { resolve(): void; reject(error: Error): void }[] = []

  run = (path: string): Promise<void> => {
    this.begun.push(path)
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }))
  }

  async end(error?: Error): Promise<void> {
    const { resolve, reject } = this.#ends.shift()!
    if (error === undefined) resolve()
    else reject(error)
    await new Promise(setImmediate)
  }
}

t.test('who comes during a sync waits for the next one, with all others', async (t) => {
  const held = new Held()
  const syncs = new SharedSyncs(held.run)
  const ended: string[] = []
  const ask = (name: string, path = '/a') => syncs.sync(path).then(() => ended.push(name))
  const all = [ask('first'), ask('second'), ask('third'), ask('other', '/b')]
  t.same(held.begun, ['/a', '/b'])
  await held.end()
  t.same(ended, ['first'])
  t.same(held.begun, ['/a', '/b', '/a'])
  all.push(ask('fourth'))
  await held.end()
  t.same(ended, ['first', 'other'])
  await held.end()
  t.same(ended, ['first', 'other', 'second', 'third'])
  t.same(held.begun, ['/a', '/b', '/a', '/a'])
  await held.end()
  await Promise.all(all)
  const last = ask('last')
  t.equal(held.begun.length, 5, 'who comes when nothing is under way waits for nobody')
  await held.end()
  await last
})

t.test('a sync that fails fails those that wait for it, and not the next', async (t) => {
  const held = new Held()
  const syncs = new SharedSyncs(held.run)
  const first = t.rejects(syncs.sync('/a'), /no sync/)
  const second = syncs.sync('/a')
  await held.end(new Error('no sync'))
  await first
  await held.end()
  await second
  const third = t.rejects(syncs.sync('/a'), /again/)
  await held.end(new Error('again'))
  await third
  const fourth = syncs.sync('/a')
  await held.end()
  await fourth
})
