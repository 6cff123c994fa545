// Requests that two servers could cut differently: what the gateway's own server makes of each, wherever they are split.
import t from 'tap'
import { heardIn, openServer, talk } from './echo-server.ts'

const HIDDEN = 'DELETE /hidden HTTP/1.1\r\nhost: a\r\n\r\n'
const CHUNKS = `0\r\n\r\n${HIDDEN}`

const put = (fields: string, body = CHUNKS): string =>
  `PUT /k HTTP/1.1\r\nhost: a\r\n${fields}\r\n${body}`
const chunked = (body: string): string => put('transfer-encoding: chunked\r\n', body + HIDDEN)

/** Refused as a whole: nothing of it, and nothing behind it, becomes a request. */
const REFUSED: Record<string, string> = {
  'chunks and a length': put(`transfer-encoding: chunked\r\ncontent-length: ${CHUNKS.length}\r\n`),
  'a length and chunks': put(`content-length: ${CHUNKS.length}\r\ntransfer-encoding: chunked\r\n`),
  'two lengths': put('content-length: 5\r\ncontent-length: 6\r\n'),
  'the same length twice': put('content-length: 5\r\ncontent-length: 5\r\n'),
  'lengths in a list': put('content-length: 5, 5\r\n'),
  'a length with a sign': put('content-length: +5\r\n'),
  'a negative length': put('content-length: -5\r\n'),
  'a length in hex': put('content-length: 0x5\r\n'),
  'a length with a blank': put('content-length: 5 5\r\n'),
  'a fraction': put('content-length: 5.0\r\n'),
  'no length at all': put('content-length:\r\n'),
  'a length beyond numbers': put('content-length: 99999999999999999999\r\n'),
  'a length beyond what is exact': put('content-length: 9007199254740993\r\n'),
  'a space before the colon': put('content-length : 5\r\n'),
  'a tab before the colon': put('transfer-encoding\t: chunked\r\n'),
  'a folded line': put('x-a: b\r\n c\r\n'),
  'a folded coding': put('transfer-encoding:\r\n chunked\r\n'),
  'a first line that is folded': 'PUT /k HTTP/1.1\r\n host: a\r\n\r\n',
  'another coding': put('transfer-encoding: xchunked\r\n'),
  'a coding in a list': put('transfer-encoding: gzip, chunked\r\n'),
  'chunks that are not last': put('transfer-encoding: chunked, identity\r\n'),
  'chunks twice': put('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n'),
  'a coding in quotes': put('transfer-encoding: "chunked"\r\n'),
  'a coding with a vertical tab': put('transfer-encoding: \x0bchunked\r\n'),
  'an empty coding': put('transfer-encoding:\r\n'),
  'chunks of HTTP/1.0': `PUT /k HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${CHUNKS}`,
  'a bare CR in a value': put('x-a: b\rcontent-length: 5\r\n'),
  'a bare LF in a value': put('x-a: b\ncontent-length: 5\r\n'),
  'lines that end in LF': `PUT /k HTTP/1.1\nhost: a\n\n${HIDDEN}`,
  'NUL in a value': put('x-a: b\0c\r\n'),
  'NUL in a name': put('x-\0a: b\r\n'),
  'DEL in a value': put('x-a: b\x7f\r\n'),
  'a name that is not ASCII': put('x-é: b\r\n'),
  'no name': put(': b\r\n'),
  'no colon': put('nonsense\r\n'),
  'two hosts': put('host: a\r\n'),
  'no host': `GET /k HTTP/1.1\r\n\r\n${HIDDEN}`,
  'HTTP/0.9': `GET /k\r\n\r\n${HIDDEN}`,
  'HTTP/1.2': `GET /k HTTP/1.2\r\nhost: a\r\n\r\n${HIDDEN}`,
  'HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a blank behind the version': `GET /k HTTP/1.1 \r\nhost: a\r\n\r\n${HIDDEN}`,
  'two blanks in the first line': `GET  /k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'a tab in the first line': `GET\t/k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'a blank in the target': `GET /k k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'a target that is no path': `GET k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'an asterisk for GET': `GET * HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'an unknown method': `BREW /k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'a method in lower case': `get /k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'a tunnel': `CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n${HIDDEN}`,
  'a lone CR at the start': `\rGET /k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
  'a blank at the start': ` GET /k HTTP/1.1\r\nhost: a\r\n\r\n${HIDDEN}`,
}

/** Broken in their chunks: the request is never whole, and nothing behind it becomes one. */
const BROKEN: Record<string, string> = {
  'a size with a sign': chunked('+5\r\nhello\r\n0\r\n\r\n'),
  'a negative size': chunked('-5\r\nhello\r\n0\r\n\r\n'),
  'a size with 0x': chunked('0x5\r\nhello\r\n0\r\n\r\n'),
  'a size behind a blank': chunked(' 5\r\nhello\r\n0\r\n\r\n'),
  'a size before a blank': chunked('5 \r\nhello\r\n0\r\n\r\n'),
  'no size': chunked('\r\nhello\r\n0\r\n\r\n'),
  'a size without end': chunked(`${'0'.repeat(20)}5\r\nhello\r\n0\r\n\r\n`),
  'a size that wraps': chunked('ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'),
  'sizes that end in LF': chunked('5\nhello\n0\n\n'),
  'a size that ends in CR': chunked('5\rhello\r\n0\r\n\r\n'),
  'a chunk that is longer': chunked('4\r\nhello\r\n0\r\n\r\n'),
  'a chunk that is shorter': chunked('6\r\nhello\r\n0\r\n\r\n'),
  'a chunk that ends in LF': chunked('5\r\nhello\n0\r\n\r\n'),
  'LF in an extension': chunked('5;a\nb\r\nhello\r\n0\r\n\r\n'),
  'extensions without end': chunked(`5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`),
  'a trailer that is none': chunked('5\r\nhello\r\n0\r\nnonsense\r\n\r\n'),
  'a trailer with a space': chunked('5\r\nhello\r\n0\r\nx : y\r\n\r\n'),
  'a folded trailer': chunked('5\r\nhello\r\n0\r\nx: y\r\n z\r\n\r\n'),
  'trailers that end in LF': chunked('5\r\nhello\r\n0\r\nx: y\n\n'),
  'trailers without end': chunked(`5\r\nhello\r\n0\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`),
}

/** In two halves, cut where a reader might lose its place. */
function halves(text: string): Buffer[][] {
  const bytes = Buffer.from(text, 'latin1')
  const near = text.indexOf('\r\n\r\n') + 2
  return [[bytes], ...[1, near, near + 3].map((at) => [bytes.subarray(0, at), bytes.subarray(at)])]
}

t.test('what is refused', async (t) => {
  const { port } = await openServer(t, 'own')
  for (const [name, text] of Object.entries(REFUSED)) {
    for (const parts of halves(text)) {
      const answer = await talk(port, parts)
      t.match(answer, /^HTTP\/1\.1 400 [\s\S]*bad request$/, name)
      t.equal(answer.match(/HTTP\/1\.1/g)?.length, 1, `${name}: one answer`)
    }
  }
})

t.test('what breaks in its body', async (t) => {
  const { port } = await openServer(t, 'own')
  for (const [name, text] of Object.entries(BROKEN)) {
    for (const parts of halves(text)) t.equal(await talk(port, parts), '', name)
  }
})

t.test('what looks odd and has one meaning only', async (t) => {
  const { port } = await openServer(t, 'own')
  const fine: [sent: string, ...heard: object[]][] = [
    ['\r\n\r\nGET /k HTTP/1.1\r\nhost: a\r\n\r\n', { method: 'GET', target: '/k' }],
    ['GET http://b/k HTTP/1.1\r\nhost: a\r\n\r\n', { target: 'http://b/k' }],
    ['OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n', { method: 'OPTIONS', target: '*' }],
    ['GET /k HTTP/1.0\r\n\r\n', { target: '/k' }],
    ['GET /k HTTP/1.1\r\nHOST:\r\n\r\n', { headers: { host: '' } }],
    ['GET /k HTTP/1.1\r\nhost: a\r\nx-a:\t b \t\r\n\r\n', { headers: { 'x-a': 'b' } }],
    ['GET /k HTTP/1.1\r\nhost: a\r\nx-a: b\r\nX-A: c\r\n\r\n', { headers: { 'x-a': 'b,c' } }],
    ['GET /k HTTP/1.1\r\nhost: a\r\n__proto__: b\r\n\r\n', { headers: { ['__proto__']: 'b' } }],
    [put('content-length: 0005\r\n', 'hello'), { body: 'hello' }],
    [
      put('Transfer-Encoding: Chunked\r\n', '5;a="b"\r\nhello\r\n0\r\nx: y\r\n\r\n'),
      { body: 'hello' },
    ],
    [
      `GET /k HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n${HIDDEN}`,
      { target: '/k' },
      { target: '/hidden' },
    ],
  ]
  for (const [text, ...wanted] of fine) {
    for (const parts of halves(text)) {
      const heard = heardIn(await talk(port, parts))
      t.match(heard, wanted, JSON.stringify(text))
      t.equal(heard.length, wanted.length)
    }
  }
})
