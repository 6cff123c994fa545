// The door to the machine: random bytes are never given twice, files are read and written whole.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isMissing, realWorld } from '../../../src/kit/world.ts'

t.test('random bytes are never given twice', async (t) => {
  const { random } = realWorld()
  const seen = new Set<string>()
  for (let round = 0; round < 2000; round += 1) {
    seen.add(Buffer.from(random.bytes(10 + (round % 7))).toString('hex'))
  }
  t.equal(seen.size, 2000)
  t.equal(random.bytes(0).length, 0)
  t.equal(random.bytes(10_000).length, 10_000, 'more than a block')
})

t.test('a sleep ends, or ends early when it is aborted', async (t) => {
  const { clock } = realWorld()
  // A sleep does not keep a process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(alive))
  await clock.sleep(1)
  const aborted = new AbortController()
  const sleeping = clock.sleep(60_000, aborted.signal)
  aborted.abort()
  await t.rejects(sleeping, { name: 'AbortError' })
  const late = clock.sleep(60_000, AbortSignal.abort(new Error('too late')))
  await t.rejects(late, /too late/, 'with the reason of the signal')
})

t.test('who gathers sees what comes in the turns of the event loop meanwhile', async (t) => {
  const { disk } = realWorld()
  let turns = 0
  const count = (): void => {
    turns += 1
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  await disk.gather!()
  clearImmediate(next)
  t.ok(turns >= 1 && turns <= 20, `${turns} turns`)
})

t.test('files: many buffers in one write, reads that end with the file', async (t) => {
  const { disk } = realWorld()
  const path = join(t.testdir(), 'file')
  const file = await disk.open(path, 'create')
  const buffers = Array.from({ length: 3000 }, (_, index) => Buffer.from([index & 255]))
  await file.write(buffers, 5)
  await file.sync()
  const first = Buffer.alloc(1000)
  const second = Buffer.alloc(5000)
  t.equal(await file.read([first, second], 5), 3000, 'short at the end')
  t.ok(Buffer.concat([first, second]).subarray(0, 3000).equals(Buffer.concat(buffers)))
  t.match(await file.stat(), { bytes: 3005, links: 1, kind: 'file' })
  await disk.remove(path)
  t.match(await file.stat(), { links: 0 }, 'an open file knows that it was removed')
  await file.close()
  t.equal(await disk.stat(path), undefined)
  await t.rejects(disk.open(path, 'write'), { code: 'ENOENT' })
  t.ok(isMissing(await disk.readFile(path).catch((error: unknown) => error)))
  writeFileSync(path, 'x')
  await t.rejects(disk.open(path, 'create'), { code: 'EEXIST' })
})

t.test(
  'a file that is closed waits for what is under way, and gives nothing afterwards',
  async (t) => {
    const { disk } = realWorld()
    const file = await disk.open(join(t.testdir(), 'file'), 'create')
    const written = file.write([Buffer.alloc(1_000_000, 7)], 0)
    const target = Buffer.alloc(1_000_000)
    await written
    const ended: string[] = []
    const read = file.read([target], 0).then((count) => {
      ended.push('read')
      return count
    })
    await file.close().then(() => ended.push('closed'))
    t.equal(await read, 1_000_000)
    t.same(ended, ['read', 'closed'])
    t.equal(target.at(-1), 7)
    await t.rejects(file.read([target], 0), { code: 'EBADF' })
    await t.rejects(file.sync(), { code: 'EBADF' })
  },
)
