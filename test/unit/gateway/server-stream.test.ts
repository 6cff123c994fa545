// Streamed replies: exact lengths, back-pressure, and breaking off rather than ending early.
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Call, Reply } from '../../../src/gateway/call.ts'
import type { ChunksAtHand } from '../../../src/kit/chunks-at-hand.ts'
import { LentMemory } from '../../../src/kit/lent-bytes.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { ask, codeOf, signHeaders, startGateway } from './server-fixture.ts'

function streaming(bytes: number, chunks: () => AsyncIterable<Uint8Array>) {
  return async (_call: Call): Promise<Reply> => ({
    status: 200,
    headers: { etag: '"e"' },
    body: { kind: 'stream', bytes, chunks: chunks() },
  })
}

t.test('a stream arrives whole', async (t) => {
  async function* chunks() {
    for (let index = 0; index < 64; index += 1) yield Buffer.alloc(65_536, index)
  }
  const fixture = await startGateway(t, {}, { operation: streaming(64 * 65_536, chunks) })
  const { status, headers, text } = await ask(fixture, { url: '/bkt/k' })
  t.match({ status, headers }, { status: 200, headers: { 'content-length': '4194304' } })
  t.equal(text.length >= 4_194_304 / 2, true)
})

t.test('an empty stream is an empty reply', async (t) => {
  async function* chunks(): AsyncGenerator<Uint8Array> {}
  const fixture = await startGateway(t, {}, { operation: streaming(0, chunks) })
  t.match(await ask(fixture, { url: '/bkt/k' }), {
    status: 200,
    text: '',
    headers: { 'content-length': '0' },
  })
})

t.test('what fails before the first chunk is still an S3 error', async (t) => {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield* []
    throw Object.assign(new Error('too few shards'), { code: 'METADATA_UNAVAILABLE' })
  }
  const fixture = await startGateway(t, {}, { operation: streaming(10, chunks) })
  const answer = await ask(fixture, { url: '/bkt/k' })
  t.equal(answer.status, 503)
  t.equal(codeOf(answer), 'ServiceUnavailable')
  t.equal(answer.headers.etag, undefined)
})

const broken: [string, () => AsyncIterable<Uint8Array>, RegExp][] = [
  [
    'fails later',
    async function* () {
      yield Buffer.alloc(10)
      throw new Error('corrupt')
    },
    /corrupt/,
  ],
  [
    'is too short',
    async function* () {
      yield Buffer.alloc(10)
    },
    / 90 bytes shorter than announced/,
  ],
  [
    'is too long',
    async function* () {
      yield Buffer.alloc(10)
      yield Buffer.alloc(100)
    },
    / 10 bytes longer than announced/,
  ],
]

for (const [what, chunks, why] of broken) {
  t.test(`a stream that ${what} is broken off, and the log says why`, async (t) => {
    const said: unknown[] = []
    const note = (data: unknown): void => void said.push(data)
    const log = { ...silentLog, info: note, warn: note, error: note, debug: note }
    const fixture = await startGateway(t, {}, { operation: streaming(100, chunks), log })
    await t.rejects(ask(fixture, { url: '/bkt/k' }), { code: 'ECONNRESET' })
    t.match(JSON.stringify(said), why)
  })
}

t.test(
  'a client that does not read holds the stream back, and ends it by going away',
  async (t) => {
    let given = 0
    let returned = false
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        for (; given < 10_000; given += 1) yield Buffer.alloc(65_536)
      } finally {
        returned = true
      }
    }
    const bytes = 10_000 * 65_536
    const fixture = await startGateway(t, {}, { operation: streaming(bytes, chunks) })
    const socket = connect(fixture.port, '127.0.0.1')
    const headers = Object.entries(signHeaders(fixture.host, { url: '/bkt/k' }))
    socket.pause()
    socket.write(
      `GET /bkt/k HTTP/1.1\r\n${headers.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n`,
    )
    let before = -1
    while (given === 0 || given !== before) {
      before = given
      await setTimeout(100)
    }
    t.ok(given < 1_000, `${given} chunks of 64 KiB were taken for a client that reads nothing`)
    socket.destroy()
    while (!returned) await setTimeout(10)
    t.pass('the stream was given back')
  },
)

/** Chunks that are there, several at a time: next() has to be asked for every eighth only. */
class Eights implements AsyncIterableIterator<Uint8Array>, ChunksAtHand {
  given = 0
  asked = 0
  returned = false
  readonly #make: (number: number) => Uint8Array | undefined

  constructor(make: (number: number) => Uint8Array | undefined) {
    this.#make = make
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.asked += 1
    const value = this.#make(this.given)
    if (value === undefined) return { done: true, value: undefined }
    this.given += 1
    return { done: false, value }
  }

  nextAtHand(): Uint8Array | undefined {
    const value = this.given % 8 === 0 ? undefined : this.#make(this.given)
    if (value !== undefined) this.given += 1
    return value
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.returned = true
    return { done: true, value: undefined }
  }
}

t.test(
  'chunks that are there arrive in order, and are given back when they are sent',
  async (t) => {
    for (const [chunkBytes, asked] of [
      [1_000, 6],
      [100_000, 16],
    ] as const) {
      const memory = new LentMemory({ slotBytes: chunkBytes, maxSpare: 40 })
      const made = new Set<Uint8Array>()
      const chunks = new Eights((number) => {
        if (number === 40) return undefined
        const slot = memory.take()
        made.add(slot.bytes)
        return slot.lend(0, chunkBytes).fill(48 + number)
      })
      const operation = streaming(40 * chunkBytes, () => chunks)
      const { status, text } = await ask(await startGateway(t, {}, { operation }), {
        url: '/bkt/k',
      })
      t.equal(status, 200)
      const wanted = Array.from({ length: 40 }, (_, number) =>
        String.fromCharCode(48 + number).repeat(chunkBytes),
      )
      t.ok(text === wanted.join(''))
      t.equal(chunks.asked, asked, 'no more than 256 KiB and a chunk go together')
      // The client may have the last of them a moment before the server hears that they are gone.
      for (let tries = 0; made.size > 0 && tries < 1_000; tries += 1)
        if (!made.delete(memory.take().bytes)) await setTimeout(10)
      t.equal(made.size, 0, 'each was given back')
    }
  },
)

t.test('a client that does not read holds back what is there as well', async (t) => {
  const chunks = new Eights(() => Buffer.alloc(65_536))
  const operation = streaming(Number.MAX_SAFE_INTEGER, () => chunks)
  const fixture = await startGateway(t, {}, { operation })
  const socket = connect(fixture.port, '127.0.0.1')
  const headers = Object.entries(signHeaders(fixture.host, { url: '/bkt/k' }))
  socket.pause()
  socket.write(
    `GET /bkt/k HTTP/1.1\r\n${headers.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n`,
  )
  let before = -1
  while (chunks.given === 0 || chunks.given !== before) {
    before = chunks.given
    await setTimeout(100)
  }
  t.ok(chunks.given < 1_000, `${chunks.given} chunks of 64 KiB for a client that reads nothing`)
  socket.destroy()
  while (!chunks.returned) await setTimeout(10)
  t.pass('the stream was given back')
})

t.test('a client that never reads is broken off', async (t) => {
  let finish = (): void => {}
  const aborted = new Promise<void>((resolve) => {
    finish = resolve
  })
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(1_048_576)
    } finally {
      finish()
    }
  }
  const operation = streaming(Number.MAX_SAFE_INTEGER, chunks)
  const fixture = await startGateway(t, { limits: { socketIdleMs: 200 } }, { operation })
  const socket = connect(fixture.port, '127.0.0.1')
  socket.on('error', () => {}) // That is how it ends.
  socket.pause()
  const headers = Object.entries(signHeaders(fixture.host, { url: '/bkt/k' }))
  socket.write(
    `GET /bkt/k HTTP/1.1\r\n${headers.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n`,
  )
  await aborted
  t.pass('the stream was given back')
  socket.destroy()
})

/** A gateway on which one download runs at once: none of its bytes is given before letGo(). */
async function openNarrow(t: Test, waitMs: number) {
  let letGo = (): void => {}
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const counts = { begun: 0, givenUp: 0 }
  const bytes = 2 * 1024 * 1024
  const operation = async ({ key }: Call): Promise<Reply> => {
    if (key === 'small') return { status: 204 }
    let isRead = false
    const iterator = {
      next: async () => {
        if (isRead) return { done: true as const, value: undefined }
        isRead = true
        counts.begun += 1
        await held
        return { done: false as const, value: Buffer.alloc(bytes) }
      },
      return: async () => {
        counts.givenUp += 1
        return { done: true as const, value: undefined }
      },
    }
    const chunks = { [Symbol.asyncIterator]: () => iterator }
    return { status: 200, body: { kind: 'stream', bytes, chunks } }
  }
  const limits = { inFlight: 2, waiting: 10, waitMs }
  return { fixture: await startGateway(t, { limits }, { operation }), counts, letGo }
}

t.test('downloads never have all turns: what waits is not begun, and is served then', async (t) => {
  const { fixture, counts, letGo } = await openNarrow(t, 60_000)
  const downloads = [1, 2, 3].map(() => ask(fixture, { url: '/bkt/k' }))
  for (let round = 0; round < 5; round += 1)
    t.equal((await ask(fixture, { url: '/bkt/small' })).status, 204)
  while (counts.begun === 0) await setTimeout(5)
  t.equal((await ask(fixture, { url: '/bkt/small' })).status, 204)
  t.equal(counts.begun, 1)
  letGo()
  for (const download of downloads) t.equal((await download).status, 200)
  t.same(counts, { begun: 3, givenUp: 0 })
})

t.test('a download that waits too long is told to slow down, and given up', async (t) => {
  const { fixture, counts, letGo } = await openNarrow(t, 20)
  const downloads = [1, 2].map(() => ask(fixture, { url: '/bkt/k' }))
  const late = await Promise.race(downloads)
  t.equal(late.status, 503)
  t.equal(codeOf(late), 'SlowDown')
  t.same(counts, { begun: 1, givenUp: 1 })
  letGo()
  t.same((await Promise.all(downloads)).map(({ status }) => status).sort(), [200, 503])
})

t.test('nothing more is read for a client that is gone, however little there was', async (t) => {
  let given = 0
  let returned = false
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (; given < 2_000; given += 1) {
        yield Buffer.alloc(10)
        await setTimeout(5)
      }
    } finally {
      returned = true
    }
  }
  const fixture = await startGateway(t, {}, { operation: streaming(20_000, chunks) })
  const socket = connect(fixture.port, '127.0.0.1')
  const headers = Object.entries(signHeaders(fixture.host, { url: '/bkt/k' }))
  socket.write(
    `GET /bkt/k HTTP/1.1\r\n${headers.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n`,
  )
  while (given < 3) await setTimeout(5)
  socket.destroy()
  while (!returned) await setTimeout(10)
  t.ok(given < 2_000, `${given} chunks`)
})
