// Files of forms: short ones are kept, in bounded memory; long ones pass, if they are as long as they must be.
import t from 'tap'
import { prepareDigests } from '../../../../src/digest/digest.ts'
import type { Form } from '../../../../src/gateway/body/form-data.ts'
import {
  type FormFile,
  type FormFileOptions,
  openFormFile,
} from '../../../../src/gateway/body/form-file.ts'

const MIB = 1024 * 1024
const TAIL_BYTES = 20

t.before(() => prepareDigests())

/** A form whose file comes in these chunks. */
function formOf(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  const state = { skipped: 0 }
  async function* file(): AsyncGenerator<Uint8Array> {
    yield* chunks
  }
  const form: Form = {
    ...{ fields: {}, filename: '', headBytes: 100, tailBytes: TAIL_BYTES, file: file() },
    skipRest: async () => {
      state.skipped += 1
    },
    close: async () => {},
  }
  return { form, state }
}

function options(requestBytes: number | undefined, more: Partial<FormFileOptions> = {}) {
  return {
    requestBytes,
    range: { min: 0, max: Number.MAX_SAFE_INTEGER },
    claims: { md5: undefined, sha256: undefined, checksum: undefined },
    checksum: 'CRC64NVME' as const,
    signal: new AbortController().signal,
    ...more,
  }
}

async function drain({ body }: FormFile): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body.chunks) chunks.push(chunk)
  return Buffer.concat(chunks)
}

t.test('a short form is read to its end before anything is stored', async (t) => {
  for (const requestBytes of [1_000, undefined]) {
    const { form, state } = formOf([Buffer.from('hel'), Buffer.from('lo')])
    const file = await openFormFile(form, options(requestBytes))
    t.equal(state.skipped, 1)
    t.equal(file.body.bytes, 5)
    t.throws(() => file.body.finish(), { code: 'IncompleteBody' }, 'nothing has passed yet')
    t.equal((await drain(file)).toString(), 'hello')
    t.match(file.body.finish(), {
      md5: '5d41402abc4b2a76b9719d911017c592',
      checksum: { algorithm: 'CRC64NVME', value: 'M3eFcAZSQlc=' },
    })
    file.release()
    file.release()
  }
})

t.test('a long form passes through', async (t) => {
  const bytes = 9 * MIB
  const requestBytes = 100 + bytes + TAIL_BYTES
  const chunks = (sum: number) =>
    Array.from({ length: Math.ceil(sum / MIB) }, (_, index) =>
      Buffer.alloc(Math.min(MIB, sum - index * MIB), index),
    )
  const right = formOf(chunks(bytes))
  const file = await openFormFile(right.form, options(requestBytes))
  t.equal(file.body.bytes, bytes)
  t.equal(right.state.skipped, 0, 'nothing was read yet')
  t.equal((await drain(file)).length, bytes)
  t.equal(right.state.skipped, 1)
  for (const other of [bytes - 1, bytes + 1, 0]) {
    const wrong = await openFormFile(formOf(chunks(other)).form, options(requestBytes))
    await t.rejects(drain(wrong), { code: 'MalformedPOSTRequest' }, String(other))
    t.throws(() => wrong.body.finish(), { code: 'IncompleteBody' })
  }
})

t.test('lengths that are not wanted', async (t) => {
  const range = { min: 3, max: 4 }
  const open = (text: string, requestBytes: number | undefined) =>
    openFormFile(formOf([Buffer.from(text)]).form, options(requestBytes, { range }))
  await t.rejects(open('12', 200), { code: 'EntityTooSmall' })
  await t.rejects(open('12345', 200), { code: 'EntityTooLarge' })
  await t.rejects(open('', 10 * MIB), { code: 'EntityTooLarge' }, 'before a byte is read')
  const endless = formOf(
    (function* () {
      for (;;) yield Buffer.alloc(MIB)
    })(),
  )
  await t.rejects(openFormFile(endless.form, options(undefined)), { code: 'MissingContentLength' })
})

t.test('what is kept is bounded: others wait, or leave', async (t) => {
  const open = (more: Partial<FormFileOptions> = {}) =>
    openFormFile(formOf([Buffer.from('x')]).form, options(undefined, more))
  const holders = await Promise.all(Array.from({ length: 16 }, () => open()))
  let opened = false
  const waiting = open().then((file) => {
    opened = true
    return file
  })
  const leaving = new AbortController()
  const left = open({ signal: leaving.signal })
  leaving.abort(new Error('the client went away'))
  await t.rejects(left, { message: 'the client went away' })
  t.notOk(opened)
  holders[0]?.release()
  const file = await waiting
  t.ok(opened)
  for (const holder of [...holders, file]) holder.release()
  const refused = Array.from({ length: 20 }, () => open({ range: { min: 2, max: 3 } }))
  for (const result of await Promise.allSettled(refused)) t.equal(result.status, 'rejected')
  ;(await open()).release()
})
