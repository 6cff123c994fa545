// Forms cut anywhere, compared with a slow reader that has all of the body before it; and what is no form.
import fc from 'fast-check'
import t from 'tap'
import { type Form, openForm, parseBoundary } from '../../../../src/gateway/body/form-data.ts'

const BOUNDARY = 'xYzZY'
// As S3 writes it; not a template of ours.
const FILENAME = '$'.concat('{filename}')

interface Wanted {
  code: string
  message?: string | RegExp
  elements?: Record<string, string>
}

interface Part {
  head: string
  value: string | Uint8Array
}

function field(name: string, value: string | Uint8Array): Part {
  return { head: `Content-Disposition: form-data; name="${name}"`, value }
}

function file(value: string | Uint8Array, filename = 'f.bin'): Part {
  const head = `Content-Disposition: form-data; name="file"; filename="${filename}"`
  return { head: `${head}\r\nContent-Type: image/png`, value }
}

function compose(parts: readonly Part[], end = `--${BOUNDARY}--\r\n`): Buffer {
  const all = parts.map(({ head, value }) =>
    Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\n${head}\r\n\r\n`),
      Buffer.from(value),
      Buffer.from('\r\n'),
    ]),
  )
  return Buffer.concat([...all, Buffer.from(end)])
}

async function* cut(body: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let turn = 0; at < body.length; turn += 1) {
    const size = sizes[turn % sizes.length]!
    yield Uint8Array.from(body.subarray(at, at + size))
    at += size
  }
}

function open(body: Uint8Array, sizes: readonly number[] = [1 << 20]): Promise<Form> {
  return openForm(cut(body, sizes), BOUNDARY)
}

async function readFile(form: Form): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of form.file) chunks.push(chunk)
  return Buffer.concat(chunks)
}

t.test('fields, then the file; what comes after it does not count', async (t) => {
  const parts = [field('Key', `a/${FILENAME}`), field('X-Amz-Meta-É', 'ü\r\n'), file('bytes')]
  const body = compose([...parts, field('acl', 'public-read')])
  const form = await open(body)
  t.same({ ...form.fields }, { key: `a/${FILENAME}`, 'x-amz-meta-é': 'ü\r\n' })
  t.equal(form.filename, 'f.bin')
  t.equal(form.headBytes, body.indexOf('bytes'))
  t.equal((await readFile(form)).toString(), 'bytes')
  await form.skipRest()
  await form.close()
})

t.test('the length of a file that comes last follows from that of the body', async (t) => {
  const body = compose([field('key', 'a'), file('0123456789')])
  const form = await open(body)
  t.equal(body.length - form.headBytes - form.tailBytes, 10)
})

t.test('cut anywhere a form is the same', async (t) => {
  // Bytes that look like the beginning of a delimiter, over and over.
  const tricky = fc.array(
    fc.oneof(
      fc.constantFrom(
        '\r',
        '\n',
        '\r\n',
        '-',
        '--',
        '\r\n--',
        `\r\n--${BOUNDARY.slice(0, 4)}`,
        'x',
      ),
      fc.string({ maxLength: 5 }),
    ),
    { maxLength: 40 },
  )
  const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 })
  const property = fc.asyncProperty(tricky, tricky, sizes, async (value, bytes, cuts) => {
    for (const text of [value, bytes]) fc.pre(!text.join('').includes(`\r\n--${BOUNDARY}`))
    const body = compose([field('key', value.join('')), file(bytes.join(''))])
    const form = await open(body, cuts)
    const content = await readFile(form)
    return (
      form.fields.key === value.join('') &&
      content.equals(Buffer.from(bytes.join(''))) &&
      body.subarray(form.headBytes, form.headBytes + content.length).equals(content)
    )
  })
  await fc.assert(property, { numRuns: 500, seed: 115 })
  t.pass('500 forms')
})

t.test('headers without an end are looked through once', async (t) => {
  // Each byte as a chunk of its own: looking through all of them for each would take a minute.
  const body = Buffer.from(`--${BOUNDARY}\r\n${'\r'.repeat(70_000)}`)
  await t.rejects(open(body, [1]), { code: 'MaxPostPreDataLengthExceededError' })
})

t.test('names of files', async (t) => {
  const cases: [sent: string, wanted: string][] = [
    ['a b.txt', 'a b.txt'],
    ['C:\\Users\\me\\a.txt', 'a.txt'],
    ['/home/me/a.txt', 'a.txt'],
    ['a%22b.txt', 'a"b.txt'],
    ['a\\"b.txt', 'a"b.txt'],
    ['; name=\\"key\\"', '; name="key"'],
    ['é😀.txt', 'é😀.txt'],
    ['', ''],
  ]
  for (const [sent, wanted] of cases) {
    t.equal((await open(compose([file('x', sent)]))).filename, wanted, sent)
  }
  const swapped = {
    head: 'content-disposition:form-data; filename="; name=k"; name=file',
    value: '',
  }
  t.equal((await open(compose([swapped]))).filename, '; name=k')
  const nameless = { head: 'Content-Disposition: form-data; name="file"', value: 'x' }
  t.equal((await open(compose([nameless]))).filename, undefined, 'none is not an empty one')
})

t.test('what is no form is refused', async (t) => {
  const malformed = { code: 'MalformedPOSTRequest' }
  const cases: [name: string, body: Buffer, error: Wanted][] = [
    ['nothing', Buffer.alloc(0), malformed],
    ['no delimiter', Buffer.from('hello'), malformed],
    ['no end', compose([field('key', 'a')], ''), malformed],
    ['no disposition', compose([{ head: 'Content-Type: a/b', value: '' }]), malformed],
    ['no name', compose([{ head: 'Content-Disposition: form-data', value: '' }]), malformed],
    ['no text', compose([field('key', Buffer.from([0xff])), file('')]), malformed],
    ['another delimiter', Buffer.from(`--${BOUNDARY}x\r\n\r\n\r\n`), malformed],
    [
      'no file',
      compose([field('key', 'a')]),
      { code: 'InvalidArgument', message: 'POST requires exactly one file upload per request.' },
    ],
    [
      'twice',
      compose([field('key', 'a'), field('KEY', 'b'), file('')]),
      { code: 'InvalidArgument' },
    ],
    [
      'too much before the file',
      compose([field('key', 'a'.repeat(70_000)), file('')]),
      { code: 'MaxPostPreDataLengthExceededError' },
    ],
  ]
  for (const [name, body, error] of cases) {
    await t.rejects(open(body), error, name)
    await t.rejects(open(body, [1]), error, `${name}, byte by byte`)
  }
  const open_ended = await open(compose([file('abc')], ''))
  await t.rejects(readFile(open_ended), malformed, 'a file without an end')
})

t.test('boundaries', async (t) => {
  t.equal(parseBoundary('multipart/form-data; boundary=abc'), 'abc')
  t.equal(parseBoundary('multipart/form-data; charset=utf-8; Boundary="a b"'), 'a b')
  for (const type of [
    'multipart/form-data',
    'multipart/form-data; boundary=',
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
  ])
    t.throws(() => parseBoundary(type), { code: 'MalformedPOSTRequest' })
})
