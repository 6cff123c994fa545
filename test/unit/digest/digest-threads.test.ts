// Long bodies that threads digest: the same digests, the same bytes, and a clean end of whatever ends early.
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { type DigestName, digestOf, prepareDigests } from '../../../src/digest/digest.ts'
import { PassingDigests, startDigestThreads } from '../../../src/digest/digest-passing.ts'
import {
  type DigestStream,
  DigestThreadLost,
  DigestThreads,
} from '../../../src/digest/threads/digest-threads.ts'
import { passByThread } from '../../../src/digest/threads/passing-by-thread.ts'
import { giveBack } from '../../../src/kit/lent-bytes.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { Seeded } from '../../support/seeded.ts'

const NAMES: readonly DigestName[] = ['MD5', 'SHA256', 'CRC32', 'CRC64NVME', 'XXHASH3', 'SHA1']

t.before(prepareDigests)

/** Threads that have started. `clock` is ours, so that what ended is started again when we say. */
async function openThreads(t: Test): Promise<{ threads: DigestThreads; now: { ms: number } }> {
  const now = { ms: 0 }
  const clock = { ...realWorld().clock, monotonicMs: () => now.ms }
  const threads = new DigestThreads({ count: 1, clock })
  t.teardown(() => threads.close())
  ;(await begun(threads)).drop()
  return { threads, now }
}

/** A stream as soon as there is room for one. */
async function begun(threads: DigestThreads, names = NAMES): Promise<DigestStream> {
  for (;;) {
    const stream = threads.begin(names)
    if (stream !== undefined) return stream
    await sleep(5)
  }
}

async function* inChunks(seeded: Seeded, bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const count = 1 + seeded.below(150_000)
    yield bytes.subarray(at, at + count)
    at += count
    if (seeded.below(4) === 0) await sleep(0)
  }
}

t.test('many streams at once have their digests, and their bytes pass as they came', async (t) => {
  const { threads } = await openThreads(t)
  const one = async (seed: number): Promise<void> => {
    const seeded = new Seeded(seed)
    const bytes = seeded.bytes(seeded.below(3_000_000))
    let digests: readonly Uint8Array[] = []
    let at = 0
    let isSame = true
    const stream = await begun(threads)
    for await (const portion of passByThread(inChunks(seeded, bytes), stream, (all) => {
      digests = all
    })) {
      isSame &&= bytes.subarray(at, at + portion.length).equals(portion)
      at += portion.length
      // Some keep what they get, for as long as they like.
      if (seed % 3 > 0) giveBack(portion)
    }
    const wanted = NAMES.map((name) => Buffer.from(digestOf(name, bytes)).toString('hex'))
    t.same(
      digests.map((digest) => Buffer.from(digest).toString('hex')),
      wanted,
      `${bytes.length} bytes`,
    )
    t.ok(isSame && at === bytes.length, 'all bytes have passed')
  }
  await Promise.all(Array.from({ length: 24 }, (_, seed) => one(seed)))
})

t.test('a body that breaks off, or that nobody wants, makes room for others', async (t) => {
  const { threads } = await openThreads(t)
  const bytes = Buffer.alloc(2_000_000, 7)
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield bytes
    throw new Error('broken off')
  }
  for (let round = 0; round < 20; round += 1) {
    const passing = passByThread(broken(), await begun(threads), () => t.fail('it has no end'))
    if (round % 2 === 0) {
      await passing.next()
      await passing.return(undefined)
    } else {
      await t.rejects(async () => {
        for await (const _ of passing);
      }, /broken off/)
    }
  }
  const streams = await Promise.all(Array.from({ length: 16 }, () => begun(threads, ['MD5'])))
  t.equal(threads.begin(['MD5']), undefined, 'more than 16 at once are for somebody else')
  const digests = await Promise.all(streams.map((stream) => stream.finish()))
  t.ok(digests.every(([md5]) => Buffer.from(digestOf('MD5', Buffer.of())).equals(md5!)))
})

t.test(
  'streams that stand still keep nobody waiting, and have their digests when they go on',
  async (t) => {
    const { threads } = await openThreads(t)
    const still = await Promise.all(Array.from({ length: 5 }, () => begun(threads, ['MD5'])))
    const portion = Buffer.from(new SharedArrayBuffer(700_000)).fill(5)
    for (const stream of still) stream.write(portion)
    const bytes = new Seeded(3).bytes(5_000_000)
    let md5: Uint8Array | undefined
    const stream = await begun(threads, ['MD5'])
    for await (const passed of passByThread(inChunks(new Seeded(4), bytes), stream, (digests) => {
      md5 = digests[0]
    })) {
      giveBack(passed)
    }
    t.ok(Buffer.from(digestOf('MD5', bytes)).equals(md5!), 'one that goes on beside them')
    const digests = await Promise.all(still.map((one) => one.finish()))
    t.ok(digests.every(([one]) => Buffer.from(digestOf('MD5', portion)).equals(one!)))
  },
)

t.test('a thread that ends fails what it has, and the next stream has another one', async (t) => {
  const { threads, now } = await openThreads(t)
  const good = await begun(threads)
  const waits = good.finish()
  const passing = passByThread(
    inChunks(new Seeded(1), Buffer.alloc(3_000_000)),
    await begun(threads, ['NO DIGEST' as DigestName]),
    () => t.fail('there are no digests'),
  )
  await t.rejects(async () => {
    for await (const _ of passing);
  }, DigestThreadLost)
  // Its own end may have been first.
  await waits.catch((error) => t.ok(error instanceof DigestThreadLost))
  t.equal(threads.begin(NAMES), undefined, 'it is not started again at once')
  now.ms += 1_000
  const [, sha256] = await (await begun(threads)).finish()
  t.ok(Buffer.from(digestOf('SHA256', Buffer.of())).equals(sha256!))
})

t.test('a thread that is closed takes nothing more, and fails what it has', async (t) => {
  const { threads } = await openThreads(t)
  const stream = await begun(threads)
  const passing = passByThread(inChunks(new Seeded(2), Buffer.alloc(9_000_000)), stream, () => {})
  await passing.next()
  await threads.close()
  await t.rejects(
    stream.room().then(() => stream.finish()),
    DigestThreadLost,
  )
  t.equal(threads.begin(NAMES), undefined)
  await t.rejects(async () => {
    for await (const _ of passing);
  }, DigestThreadLost)
})

t.test('bodies have the same digests with threads as without', async (t) => {
  const seeded = new Seeded(5)
  const bytes = seeded.bytes(2_500_000)
  const read = async (): Promise<string[]> => {
    const digests = new PassingDigests(NAMES, bytes.length)
    let passed = 0
    for await (const portion of digests.pass(inChunks(seeded, bytes))) passed += portion.length
    t.equal(passed, bytes.length)
    return [...digests.values().values()].map((digest) => Buffer.from(digest).toString('hex'))
  }
  const here = await read()
  const started = startDigestThreads(2, realWorld().clock)
  // From some time on they are there.
  for (let round = 0; round < 10; round += 1) {
    t.same(await read(), here)
    await sleep(20)
  }
  await started.close()
  t.same(await read(), here)
})

t.test(
  'where the system has no thread there is none until it has, and nothing fails',
  async (t) => {
    const now = { ms: 0 }
    let tries = 0
    const threads = new DigestThreads({
      count: 1,
      clock: { ...realWorld().clock, monotonicMs: () => now.ms },
      startWorker: () => {
        tries += 1
        if (tries < 3)
          throw Object.assign(new Error('no thread'), { code: 'ERR_WORKER_INIT_FAILED' })
        const file = '../../../src/digest/threads/digest-thread.js'
        return new Worker(new URL(file, import.meta.url), { execArgv: [] })
      },
    })
    t.teardown(() => threads.close())
    t.equal(threads.begin(NAMES), undefined)
    t.equal(tries, 1, 'it is not tried for every body')
    now.ms = 1_000
    t.equal(threads.begin(NAMES), undefined)
    t.equal(threads.begin(NAMES), undefined)
    t.equal(tries, 2)
    now.ms = 2_000
    const stream = await begun(threads)
    stream.drop()
    t.equal(tries, 3)
  },
)
