// The line of the log for each request: what is in it, and what never is.
import t from 'tap'
import { type Log, openLog } from '../../../src/kit/log.ts'
import { ACCESS_KEY, ask, type Fixture, startGateway } from './server-fixture.ts'

/** A log, and what it was told of requests so far. */
function keptLog(level: 'info' | 'warn'): { log: Log; requests(): Record<string, unknown>[] } {
  const lines: string[] = []
  const log = openLog(level, { write: (line: string) => void lines.push(line) })
  const requests = (): Record<string, unknown>[] =>
    lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request')
  return { log, requests }
}

/** One request that is refused, then one that is answered, each over before the next. */
async function askTwice(fixture: Fixture, requests: () => unknown[]): Promise<void> {
  const query = 'X-Amz-Signature=secret&X-Amz-Security-Token=secret'
  await ask(fixture, { url: `/bkt/key?${query}`, signed: false })
  await ask(fixture, { url: '/bkt/key?versionId=null' })
  for (let turn = 0; turn < 30 && requests().length < 2; turn += 1)
    await new Promise((resolve) => setTimeout(resolve, 10))
}

t.test(
  'a line for each request, without what it does not know and without its query',
  async (t) => {
    const { log, requests } = keptLog('info')
    await askTwice(await startGateway(t, {}, { log }), requests)
    const [refused, answered] = requests()
    t.match(refused, {
      remoteAddress: '127.0.0.1',
      method: 'GET',
      path: '/bkt/key',
      status: 400,
      errorCode: /^\w+$/,
      bytesIn: 0,
      bytesOut: Number,
      ms: Number,
    })
    t.notOk('accessKeyId' in refused!, 'nobody was known')
    t.match(answered, { accessKeyId: ACCESS_KEY, operation: 'GetObject', path: '/bkt/key' })
    t.match(answered, { status: 200, requestId: /^\w{16,}$/ })
    t.notOk('errorCode' in answered!, 'nothing was wrong')
    t.notMatch(JSON.stringify(requests()), /secret|versionId/)
  },
)

t.test('a log that tells of warnings only has none of them', async (t) => {
  const { log, requests } = keptLog('warn')
  await askTwice(await startGateway(t, {}, { log }), requests)
  t.same(requests(), [])
})
