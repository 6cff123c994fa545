// Answers as servers send them, cut anywhere.
import t from 'tap'
import { type Answer, AnswerReader, type Expected } from '../../../src/load/answer-reader.ts'

const PLAIN: Expected = { isHead: false, keepsBody: true }

/** Reads one answer that comes in parts of so many bytes. */
function read(text: string, partBytes: number, expected: Expected = PLAIN): Answer | undefined {
  const reader = new AnswerReader()
  reader.expect(expected)
  const bytes = Buffer.from(text, 'latin1')
  let answer: Answer | undefined
  for (let at = 0; at < bytes.length; at += partBytes) {
    answer = reader.take(bytes.subarray(at, at + partBytes))
    if (at + partBytes < bytes.length) t.equal(answer, undefined, 'not before the last byte')
  }
  return answer
}

const SAMPLES: {
  name: string
  text: string
  wanted: Partial<Answer>
  body: string | undefined
  expected?: Expected
}[] = [
  {
    name: 'a length',
    text: 'HTTP/1.1 200 OK\r\nETag: "abc"\r\nContent-Length: 5\r\n\r\nhello',
    wanted: { status: 200, etag: '"abc"', bytes: 5, closes: false },
    body: 'hello',
  },
  {
    name: 'chunks',
    text: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: 1\r\n\r\n',
    wanted: { status: 200, bytes: 6 },
    body: 'hello!',
  },
  {
    name: '100 Continue before it',
    text: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
    wanted: { status: 200, bytes: 0, closes: true },
    body: '',
  },
  {
    name: 'no body',
    text: 'HTTP/1.1 204 No Content\r\n\r\n',
    wanted: { status: 204, bytes: 0 },
    body: '',
  },
  {
    name: 'HEAD',
    text: 'HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n',
    wanted: { status: 200, bytes: 0 },
    body: undefined,
    expected: { isHead: true, keepsBody: false },
  },
  {
    name: 'a body that nobody wants',
    text: 'HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\n\r\nabc',
    wanted: { status: 206, bytes: 3 },
    body: undefined,
    expected: { isHead: false, keepsBody: false },
  },
  {
    name: 'an error, which is kept whatever was asked',
    text: 'HTTP/1.1 503 Slow Down\r\nContent-Length: 8\r\n\r\n<Error/>',
    wanted: { status: 503, bytes: 8 },
    body: '<Error/>',
    expected: { isHead: false, keepsBody: false },
  },
]

for (const { name, text, wanted, body, expected } of SAMPLES) {
  t.test(name, async (t) => {
    for (const partBytes of [1, 2, 7, text.length]) {
      const answer = read(text, partBytes, expected)
      t.match(answer, wanted, `in parts of ${partBytes}`)
      t.equal(answer?.body?.toString('latin1'), body)
    }
  })
}

t.test('what is no answer is refused', async (t) => {
  const refused = [
    'SSH-2.0-OpenSSH\r\n\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab',
    `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}`,
  ]
  for (const text of refused) {
    const reader = new AnswerReader()
    reader.expect(PLAIN)
    t.throws(() => reader.take(Buffer.from(text, 'latin1')), text.slice(0, 40))
  }
})

t.test('what is left of an answer that was broken off is no part of the next one', async (t) => {
  const reader = new AnswerReader()
  reader.expect(PLAIN)
  t.equal(reader.take(Buffer.from('HTTP/1.1 200 OK\r\nContent-Le')), undefined)
  reader.expect(PLAIN)
  const answer = reader.take(Buffer.from('HTTP/1.1 204 No Content\r\n\r\n'))
  t.match(answer, { status: 204 })
})

t.test('one answer after the other', async (t) => {
  const reader = new AnswerReader()
  for (const length of [3, 0, 5]) {
    reader.expect(PLAIN)
    const text = `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${'x'.repeat(length)}`
    t.equal(reader.take(Buffer.from(text))?.body?.length, length)
  }
})
