// Ranges and parts that are read, as pedantic clients compare them (pitfalls 70 to 78).
import t, { type Test } from 'tap'
import { beginUpload, PART_BYTES_MIN, uploadAll, uploadPart } from './uploads.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  elementOf,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/read`
const EMPTY = `/${BUCKET}/empty`
const OTHER = '"00000000000000000000000000000000"'

t.test('ranges', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await put(wire, PATH, 'hello', { 'content-type': 'text/x-odd' })
    await put(wire, EMPTY, '')
    await t.test('pitfall 70: what is no range is ignored', async (t) => ignored(t, wire))
    await t.test('pitfall 70: several ranges', async (t) => several(t, wire))
    await t.test('pitfall 71: past the end', async (t) => pastTheEnd(t, wire))
    await t.test('pitfall 72: suffixes', async (t) => suffixes(t, wire))
    await t.test('pitfall 73: HEAD, and If-Range', async (t) => conditional(t, wire))
    await t.test('pitfall 74: parts of an object', async (t) => parts(t, wire))
    await t.test('pitfall 75: loaders that ask for more than there is', async (t) => eof(t, wire))
    await t.test('pitfall 76: ranges that are copied', async (t) => copied(t, wire))
    await t.test('pitfall 77: an object of nothing', async (t) => nothing(t, wire))
    await t.test('pitfall 78: response-* parameters', async (t) => overrides(t, wire))
  })
})

t.test('ranges, strict', { timeout: 60_000 }, async (t) => {
  await withWire(t, { options: ['--strict-s3'] }, async (wire) => {
    await put(wire, PATH)
    await t.test('pitfall 70: several ranges are ignored, as AWS does', async (t) => {
      const got = await ranged(t, wire, 'bytes=0-1,3-4')
      t.equal(`${got.status} ${got.text}`, '200 hello')
    })
  })
})

/** GET and HEAD must agree: same status, same headers, but no body. */
async function both(t: Test, wire: Wire, wanted: Ask): Promise<Answer> {
  const got = await ask(wire, wanted)
  const head = await ask(wire, { ...wanted, method: 'HEAD' })
  t.equal(head.status, got.status, 'HEAD has the status of GET')
  t.equal(head.body.length, 0)
  if (got.status < 400) t.same(comparable(head), comparable(got), 'HEAD has the headers of GET')
  return got
}

/** Headers without what is new in every answer. */
function comparable({ headers }: Answer): unknown {
  const { 'x-amz-request-id': id, 'x-amz-id-2': host, date, ...rest } = headers
  return JSON.parse(JSON.stringify(rest).replaceAll(`kintsugi-${id}`, 'boundary'))
}

function ranged(t: Test, wire: Wire, range: string, path = PATH): Promise<Answer> {
  return both(t, wire, { path, headers: { range } })
}

async function ignored(t: Test, wire: Wire): Promise<void> {
  const sixtyFive = `bytes=${'0-0,'.repeat(64)}1-1`
  for (const range of [
    'bytes=3-1',
    'bytes=a-b',
    'bytes= -1',
    'bytes=0 -1',
    'bytes=-',
    'bytes=',
    'bytes',
    'lines=0-1',
    '0-1',
    'bytes=0-1,,3-4',
    'bytes=0-1,4-3',
    sixtyFive,
  ]) {
    const got = await ranged(t, wire, range)
    t.equal(`${got.status} ${got.text}`, '200 hello', `${range} is ignored`)
    t.notOk('content-range' in got.headers)
  }
}

async function several(t: Test, wire: Wire): Promise<void> {
  const wanted: [range: string, sent: [range: string, text: string][]][] = [
    [
      'bytes=0-1,3-4',
      [
        ['0-1', 'he'],
        ['3-4', 'lo'],
      ],
    ],
    [
      'bytes=-1, 0-99 ,2-2',
      [
        ['4-4', 'o'],
        ['0-4', 'hello'],
        ['2-2', 'l'],
      ],
    ],
    [
      'bytes=9-,1-1,3-3,-0',
      [
        ['1-1', 'e'],
        ['3-3', 'l'],
      ],
    ],
    [`bytes=${'0-0,'.repeat(63)}1-1`, [...Array(63).fill(['0-0', 'h']), ['1-1', 'e']]],
  ]
  for (const [range, sent] of wanted) {
    const got = await ranged(t, wire, range)
    t.equal(got.status, 206, range)
    t.notOk('content-range' in got.headers, 'it stands with each range')
    t.equal(got.headers['content-length'], String(got.body.length))
    const boundary = /^multipart\/byteranges; boundary=([\w-]+)$/.exec(got.headers['content-type']!)
    const bodies = sent.map(
      ([at, text]) =>
        `--${boundary?.[1]}\r\nContent-Type: text/x-odd\r\nContent-Range: bytes ${at}/5\r\n\r\n${text}\r\n`,
    )
    t.equal(got.text, `${bodies.join('')}--${boundary?.[1]}--\r\n`, range)
  }
  const one = await ranged(t, wire, 'bytes=9-,1-3')
  t.equal(`${one.status} ${one.headers['content-range']} ${one.text}`, '206 bytes 1-3/5 ell')
  const none = await ranged(t, wire, 'bytes=5-,99-100,-0')
  wantError(t, none, 416, 'InvalidRange', { RangeRequested: 'bytes=5-,99-100,-0' })
  const large = Buffer.alloc(3_000_000, 'kintsugi')
  await put(wire, `${PATH}-large`, large)
  const got = await ranged(t, wire, 'bytes=2000001-2999999,3-1499999', `${PATH}-large`)
  const first = got.body.indexOf('\r\n\r\n') + 4
  t.ok(got.body.subarray(first, first + 999_999).equals(large.subarray(2_000_001)))
  const second = got.body.indexOf('\r\n\r\n', first) + 4
  t.ok(got.body.subarray(second, second + 1_499_997).equals(large.subarray(3, 1_500_000)))
  t.equal(
    got.text.slice(second + 1_499_997).length,
    '\r\n----\r\n'.length + 'kintsugi-0123456789ABCDEF'.length,
  )
}

async function pastTheEnd(t: Test, wire: Wire): Promise<void> {
  const sent: [range: string, text: string, contentRange: string][] = [
    ['bytes=0-', 'hello', 'bytes 0-4/5'],
    ['bytes=0-4', 'hello', 'bytes 0-4/5'],
    ['bytes=1-3', 'ell', 'bytes 1-3/5'],
    ['bytes=4-', 'o', 'bytes 4-4/5'],
    ['bytes=3-99999999999999999999', 'lo', 'bytes 3-4/5'],
  ]
  for (const [range, text, contentRange] of sent) {
    const got = await ranged(t, wire, range)
    t.equal(`${got.status} ${got.text}`, `206 ${text}`, range)
    t.equal(got.headers['content-range'], contentRange, range)
    t.equal(got.headers['content-length'], String(text.length), range)
  }
  for (const range of ['bytes=5-', 'bytes=5-9', 'bytes=99999999999999999999-']) {
    const got = await ranged(t, wire, range)
    wantError(t, got, 416, 'InvalidRange', { RangeRequested: range, ActualObjectSize: '5' }, range)
    t.equal(got.headers['content-range'], 'bytes */5', range)
  }
}

async function suffixes(t: Test, wire: Wire): Promise<void> {
  const short = await ranged(t, wire, 'bytes=-2')
  t.equal(`${short.status} ${short.headers['content-range']} ${short.text}`, '206 bytes 3-4/5 lo')
  const long = await ranged(t, wire, 'bytes=-99')
  t.equal(`${long.status} ${long.headers['content-range']} ${long.text}`, '206 bytes 0-4/5 hello')
  wantError(t, await ranged(t, wire, 'bytes=-0'), 416, 'InvalidRange', { ActualObjectSize: '5' })
  const empty = await ranged(t, wire, 'bytes=-5', EMPTY)
  t.equal(`${empty.status} ${empty.headers['content-length']}`, '200 0', 'a suffix of nothing')
  for (const range of ['bytes=0-', 'bytes=0-8388607', 'bytes=-0']) {
    const got = await ranged(t, wire, range, EMPTY)
    wantError(t, got, 416, 'InvalidRange', { ActualObjectSize: '0' }, `${range} of nothing`)
  }
}

async function conditional(t: Test, wire: Wire): Promise<void> {
  const { etag, 'last-modified': modified } = (await ask(wire, { path: PATH })).headers
  const rows: [ifRange: string, status: number][] = [
    [etag!, 206],
    [modified!, 206],
    [OTHER, 200],
    [`W/${etag}`, 200],
    ['Sat, 01 Jan 2000 00:00:00 GMT', 200],
  ]
  for (const [ifRange, status] of rows) {
    const headers = { range: 'bytes=0-1', 'if-range': ifRange }
    const got = await both(t, wire, { path: PATH, headers })
    t.equal(`${got.status} ${got.text}`, status === 206 ? '206 he' : '200 hello', ifRange)
  }
  const headers = { range: 'bytes=0-1,3-4', 'if-range': OTHER }
  t.equal((await both(t, wire, { path: PATH, headers })).text, 'hello', 'several ranges too')
  const unsatisfiable = { range: 'bytes=9-', 'if-range': OTHER }
  t.equal((await both(t, wire, { path: PATH, headers: unsatisfiable })).text, 'hello')
}

async function parts(t: Test, wire: Wire): Promise<void> {
  const ask = (path: string, partNumber: string, headers: Record<string, string> = {}) =>
    both(t, wire, { path, query: { partNumber }, headers })
  const plain = await ask(PATH, '1')
  t.equal(`${plain.status} ${plain.headers['content-range']}`, '206 bytes 0-4/5', 'a plain object')
  t.notOk('x-amz-mp-parts-count' in plain.headers)
  const counts = { ActualPartCount: '1', PartNumberRequested: '2' }
  wantError(t, await ask(PATH, '2'), 416, 'InvalidPartNumber', counts)
  for (const partNumber of ['0', '10001', '-1', 'one', '1.5', '']) {
    const got = await ask(PATH, partNumber)
    wantError(t, got, 400, 'InvalidArgument', { ArgumentName: 'partNumber' }, partNumber)
    const missing = await ask(`${PATH}-none`, partNumber)
    wantError(t, missing, 400, 'InvalidArgument', {}, `${partNumber} of nothing`)
  }
  for (const partNumber of ['1', '0']) {
    const ranged = await ask(PATH, partNumber, { range: 'bytes=0-1' })
    wantError(t, ranged, 400, 'InvalidRequest', {}, 'Range and partNumber')
  }
  const path = `${PATH}-parts`
  await uploadAll(wire, path, [Buffer.alloc(PART_BYTES_MIN, 'a'), 'hello'])
  const [first, second] = [await ask(path, '1'), await ask(path, '2')]
  t.equal(first.body.length, PART_BYTES_MIN)
  t.equal(`${second.status} ${second.text}`, '206 hello')
  const at = `bytes ${PART_BYTES_MIN}-${PART_BYTES_MIN + 4}/${PART_BYTES_MIN + 5}`
  t.match(second.headers, { 'content-range': at, 'x-amz-mp-parts-count': '2' })
  const third = { ActualPartCount: '2', PartNumberRequested: '3' }
  wantError(t, await ask(path, '3'), 416, 'InvalidPartNumber', third)
}

/** As TensorFlow and the CRT client read: blocks of one size until the end says so. */
async function eof(t: Test, wire: Wire): Promise<void> {
  const blocks: string[] = []
  for (let at = 0; ; at += 2) {
    const got = await ranged(t, wire, `bytes=${at}-${at + 1}`)
    if (got.status === 416) break
    t.equal(got.status, 206)
    blocks.push(got.text)
  }
  t.same(blocks, ['he', 'll', 'o'])
  const whole = await ranged(t, wire, 'bytes=0-8388607')
  t.equal(`${whole.status} ${whole.headers['content-range']}`, '206 bytes 0-4/5')
}

async function copied(t: Test, wire: Wire): Promise<void> {
  const upload = await beginUpload(wire, `${PATH}-copy`)
  const copy = (range: string): Promise<Answer> =>
    uploadPart(upload, 1, '', { 'x-amz-copy-source': PATH, 'x-amz-copy-source-range': range })
  for (const range of ['bytes=0-5', 'bytes=3-1', 'bytes=0-', 'bytes=-2', '0-1', 'bytes=0-1,2-3'])
    wantError(t, await copy(range), 400, 'InvalidArgument', { ArgumentValue: range }, range)
  const headers = { 'x-amz-copy-source': PATH }
  wantError(t, await uploadPart(upload, 1, 'a body', headers), 400, 'InvalidRequest')
  const part = await copy('bytes=1-3')
  t.equal(elementOf(part, 'ETag'), (await put(wire, `${PATH}-ell`, 'ell')).headers.etag)
}

async function nothing(t: Test, wire: Wire): Promise<void> {
  const got = await both(t, wire, { path: EMPTY })
  t.equal(`${got.status} ${got.headers['content-length']}`, '200 0')
  t.notOk('content-range' in got.headers)
}

async function overrides(t: Test, wire: Wire): Promise<void> {
  const query = {
    'response-content-type': 'text/x;charset=utf-8',
    'response-content-language': 'de',
    'response-expires': 'never',
    'response-cache-control': 'no-store',
    'response-content-disposition': 'attachment; filename="a b"',
    'response-content-encoding': 'x',
  }
  const wanted = Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name.replace('response-', ''), value]),
  )
  t.match((await both(t, wire, { path: PATH, query })).headers, wanted)
  const headers = { range: 'bytes=0-0' }
  t.match((await both(t, wire, { path: PATH, query, headers })).headers, wanted, 'of a range')
  const two = await both(t, wire, { path: PATH, query, headers: { range: 'bytes=0-0,1-1' } })
  t.match(two.text, /Content-Type: text\/x;charset=utf-8\r\n/, 'with each of several')
  const anonymous = await both(t, wire, { path: PATH, query, signer: false })
  wantError(t, anonymous, 400, 'InvalidRequest', {}, 'anonymous')
  const split = { 'response-content-type': 'a\r\nset-cookie: b' }
  const refused = await both(t, wire, { path: PATH, query: split })
  wantError(t, refused, 400, 'InvalidArgument', {}, 'no line breaks')
  const unknown = await both(t, wire, { path: PATH, query: { 'response-etag': 'x' } })
  const elements = { ArgumentName: 'response-etag', ArgumentValue: 'x' }
  wantError(t, unknown, 400, 'InvalidArgument', elements, 'of no other header')
  const missing = await both(t, wire, { path: `/${BUCKET}/missing`, query })
  t.equal(missing.headers['content-type'], 'application/xml', 'errors are not overridden')
  const put = await ask(wire, { method: 'PUT', path: `${PATH}-put`, query, body: 'hello' })
  t.notOk('content-language' in put.headers, 'nor answers to writes')
}
