// What is sent to Node's server and to the gateway's own: both understand the same, or the own one refuses.
import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Exchange } from '../../../../src/gateway/exchange.ts'
import { echo, heardIn, openServer, talk } from './echo-server.ts'

const RUNS = 200

const methods = ['GET', 'PUT', 'POST', 'HEAD', 'DELETE', 'OPTIONS', 'BREW', 'get', 'CONNECT', '']
const targets = [
  '/',
  '/a?b=c',
  '/%zz',
  'http://h/p',
  '*',
  'a/b',
  '',
  '/a b',
  '/é',
  '/a"<>\\^`{|}',
  '/a#b',
]
const versions = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/1.2', 'http/1.1', 'HTTP/1.1 ', 'HTTP/1']
const odd = [
  ...[
    'host: other',
    'Host : a',
    'host:',
    'content-length: 5',
    'content-length: +5',
    'Content-Length:5 ',
  ],
  ...['content-length: 5, 5', 'content-length: 0x5', 'content-length: 18446744073709551616'],
  ...[
    'transfer-encoding: chunked',
    'Transfer-Encoding: Chunked',
    'transfer-encoding: gzip, chunked',
  ],
  ...[
    'transfer-encoding: chunked, identity',
    'transfer-encoding:\tchunked',
    'transfer-encoding : chunked',
  ],
  ...[
    'transfer-encoding: identity',
    'transfer-encoding: "chunked"',
    'connection: keep-alive, close',
  ],
  ...[
    'connection: upgrade',
    'upgrade: websocket',
    'expect: 100-continue',
    'expect: x',
    'x-a:  b \t',
    ' folded',
  ],
  ...[
    'x-a: b\rc',
    'x-a: b\nc',
    'x-a: \0',
    'x\0a: b',
    'x-a',
    ': b',
    'x a: b',
    'x-é: b',
    'x-a: é\x7f',
    'x-a: é',
  ],
]
const bodies = [
  ...[
    '',
    'hello',
    '5\r\nhello\r\n0\r\n\r\n',
    '5;a=b\r\nhello\r\n0\r\nx-t: u\r\n\r\n',
    '5\nhello\n0\n\n',
  ],
  ...[
    '5\r\nhello0\r\n\r\n',
    '05\r\nhello\r\n00\r\n\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '-5\r\nhello\r\n0\r\n\r\n',
  ],
  ...[
    '0x5\r\nhello\r\n0\r\n\r\n',
    '\r\nhello',
    'ffffffffffffffff\r\nhello',
    '0\r\nx-t\r\n\r\n',
    '0\r\n\r\n0\r\n\r\n',
  ],
]
const LAST = 'GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'

const usual = <Value>(first: Value, others: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof(
    { weight: 24, arbitrary: fc.constant(first) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  )

const request = fc
  .record({
    method: usual('PUT', methods),
    target: usual('/k', targets),
    version: usual('HTTP/1.1', versions),
    host: usual(['host: a'], [[], ['host: a', 'host: a']]),
    fields: fc.array(fc.constantFrom(...odd), { maxLength: 2 }),
    body: fc.constantFrom(...bodies),
  })
  .map(({ method, target, version, host, fields, body }) =>
    [`${method} ${target} ${version}`, ...host, ...fields, '', body].join('\r\n'),
  )

const sent = fc.record({
  requests: fc.array(request, { minLength: 1, maxLength: 3 }),
  bends: fc.oneof(
    fc.constant([]),
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 2 }),
  ),
  cuts: fc.array(fc.nat(), { maxLength: 3 }),
})

function partsOf(whole: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % whole.length).sort((a, b) => a - b), whole.length]
  return at.slice(1).map((end, index) => whole.subarray(at[index], end))
}

interface Understood {
  method: string
  target: string
  headers: object
  /** When it was whole. */
  body?: string
}

/** A server that notes what it takes for requests, whether they are answered or not: Node drops those that garbage follows. */
async function openNoting(t: Test, which: 'own' | 'node') {
  const noted: Understood[] = []
  const serve = (exchange: Exchange): void => {
    const { method, target, sentHeaders } = exchange
    const one: Understood = { method, target, headers: { ...sentHeaders } }
    noted.push(one)
    echo(exchange, (body) => {
      one.body = body
    })
  }
  const { port } = await openServer(t, which, serve)
  return async (parts: readonly Uint8Array[]): Promise<Understood[]> => {
    await talk(port, parts)
    return noted.splice(0)
  }
}

/** The own one began with no other requests, and heard no other bodies. */
function agree(own: readonly Understood[], node: readonly Understood[]): boolean {
  return own.every((one, at) => {
    const other = node[at]
    if (other === undefined || headOf(one) !== headOf(other)) return false
    return one.body === undefined || other.body === undefined || one.body === other.body
  })
}

function headOf({ method, target, headers }: Understood): string {
  return JSON.stringify({ method, target, headers })
}

t.test('both servers understand the same, or the own one refuses', async (t) => {
  const [byNode, byOwn] = [await openNoting(t, 'node'), await openNoting(t, 'own')]
  let understood = 0
  let refused = 0
  const property = fc.asyncProperty(sent, async ({ requests, bends, cuts }) => {
    const whole = Buffer.from(requests.join('') + LAST, 'latin1')
    for (const [at, byte] of bends) whole[at % whole.length] = byte
    const node = await byNode([whole])
    const own = await byOwn(partsOf(whole, cuts))
    understood += own.length
    refused += own.length < node.length ? 1 : 0
    return agree(own, node)
  })
  const details = await fc.check(property, { numRuns: RUNS, endOnFailure: true })
  t.notOk(details.failed, `seed ${details.seed}: ${JSON.stringify(details.counterexample)}`)
  t.ok(understood > 0)
  t.comment(`${understood} requests were understood; ${refused} times the own server was stricter`)
})

const name = fc.stringMatching(/^x-[a-z0-9_.-]{1,20}$/)
const value = fc.stringMatching(/^[!-~\x80-\xff]([ -~\x80-\xff]{0,40}[!-~\x80-\xff])?$/)

t.test('what is right is understood by both, however it is cut', async (t) => {
  const [node, own] = [await openServer(t, 'node'), await openServer(t, 'own')]
  const right = fc.record({
    target: fc.stringMatching(/^\/[a-zA-Z0-9/%?=&._~-]{0,60}$/),
    fields: fc.array(fc.tuple(name, value), { maxLength: 6 }),
    body: fc.string({ maxLength: 60 }),
    framing: fc.constantFrom('length', 'chunks', 'none'),
    cuts: fc.array(fc.nat(), { maxLength: 4 }),
  })
  const property = fc.asyncProperty(right, async ({ target, fields, body, framing, cuts }) => {
    const bytes = Buffer.from(body)
    const lines = [`PUT ${target} HTTP/1.1`, 'Host: a', ...fields.map((field) => field.join(': '))]
    if (framing === 'length') lines.push(`Content-Length: ${bytes.length}`)
    if (framing === 'chunks') lines.push('Transfer-Encoding: chunked')
    const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1')
    const whole = Buffer.concat([head, framed(bytes, framing), Buffer.from(LAST)])
    const parts = partsOf(whole, cuts)
    const [byNode, byOwn] = await Promise.all([talk(node.port, [whole]), talk(own.port, parts)])
    const [wanted, actual] = [heardIn(byNode), heardIn(byOwn)]
    return actual.length === 2 && JSON.stringify(actual) === JSON.stringify(wanted)
  })
  const details = await fc.check(property, { numRuns: RUNS, endOnFailure: true })
  t.notOk(details.failed, `seed ${details.seed}: ${JSON.stringify(details.counterexample)}`)
})

function framed(bytes: Buffer, framing: string): Buffer {
  if (framing === 'none') return Buffer.alloc(0)
  if (framing === 'length') return bytes
  const half = bytes.length >> 1
  const chunks = [bytes.subarray(0, half), bytes.subarray(half)].filter(({ length }) => length > 0)
  const parts = chunks.flatMap((chunk) => [
    Buffer.from(`${chunk.length.toString(16)}\r\n`),
    chunk,
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')])
}
