// Requests bent at random: whatever comes, the answer is HTTP or nothing, and the gateway lives.
import * as fc from 'fast-check'
import t from 'tap'
import { ask, signHeaders, startGateway, talkRaw } from './server-fixture.ts'

const RUNS = 120

t.test('bent requests', async (t) => {
  const fixture = await startGateway(t, { limits: { bodyIdleMs: 10 } })
  const url = '/bkt/a%20b?partNumber=1&uploadId=u'
  const framing = {
    'content-encoding': 'aws-chunked',
    'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
    'x-amz-decoded-content-length': '5',
    'x-amz-trailer': 'x-amz-checksum-crc32',
    connection: 'close',
  }
  const headers = signHeaders(fixture.host, { method: 'PUT', url, headers: framing })
  const body = '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n'
  const lines = Object.entries({ ...headers, 'content-length': String(body.length) })
  const head = lines.map((pair) => pair.join(': ')).join('\r\n')
  const whole = Buffer.from(`PUT ${url} HTTP/1.1\r\n${head}\r\n\r\n${body}`)
  t.match(await talkRaw(fixture.port, whole), /^HTTP\/1.1 200 /)

  let answered = 0
  const property = fc.asyncProperty(
    fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
    fc.option(fc.nat(), { nil: undefined, freq: 2 }),
    async (bends, cut) => {
      const bent = Buffer.from(whole)
      for (const [at, byte] of bends) bent[at % bent.length] = byte
      const sent = cut === undefined ? bent : bent.subarray(0, cut % bent.length)
      const answer = await talkRaw(fixture.port, sent, { patienceMs: 20 })
      answered += answer === '' ? 0 : 1
      return answer === '' || /^HTTP\/1\.1 (200|4\d\d|501) /.test(answer)
    },
  )
  const details = await fc.check(property, { numRuns: RUNS, endOnFailure: true })
  t.notOk(details.failed, `seed ${details.seed}: ${JSON.stringify(details.counterexample)}`)
  t.comment(`${answered} of ${RUNS} were answered`)
  t.equal((await ask(fixture, { url: '/bkt/k' })).status, 200)
})
