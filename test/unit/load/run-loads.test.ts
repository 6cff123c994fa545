// A store that breaks while it is measured: what was measured before is kept, and what stays there is said.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { prepareDigests } from '../../../src/digest/prepare.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { type Endpoint, parseEndpoint } from '../../../src/load/endpoint.ts'
import { RunBroken, runLoads } from '../../../src/load/run-loads.ts'

await prepareDigests()

type Ask = { method: string; isBucket: boolean; bucket: string }

/** A store that has no objects: it answers with the status that `statusOf` gives, and else as if all were well. */
async function openStore(
  t: Test,
  statusOf: (ask: Ask) => number | undefined,
): Promise<{ endpoint: Endpoint; buckets: string[] }> {
  const buckets: string[] = []
  const server = createServer((request, response) => {
    const [path = ''] = request.url!.split('?')
    const [, bucket = '', key = ''] = path.split('/')
    const method = request.method!
    if (method === 'PUT' && key === '') buckets.push(bucket)
    const usual = method === 'DELETE' ? 204 : 200
    const status = statusOf({ method, isBucket: key === '', bucket }) ?? usual
    request.resume().on('end', () => {
      response.writeHead(status, status === 204 ? {} : { 'content-length': 0 }).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const endpoint = parseEndpoint(`http://me:secret@127.0.0.1:${port}`, 'us-east-1', undefined)
  if (typeof endpoint === 'string') throw new Error(endpoint)
  return { endpoint, buckets }
}

async function runTwice(endpoint: Endpoint): Promise<RunBroken> {
  const loads = ['put-4k', 'put-4k'] as const
  const options = { loads, seconds: 0.1, processes: 1 }
  try {
    await runLoads([endpoint], options, { world: realWorld(), say: () => {} })
  } catch (error) {
    if (error instanceof RunBroken) return error
    throw error
  }
  throw new Error('nothing broke')
}

t.test('a bucket that can not be removed is named, and its load counts', async (t) => {
  const store = await openStore(t, ({ method, isBucket, bucket }) =>
    method === 'DELETE' && isBucket && bucket === store.buckets[1] ? 409 : undefined,
  )
  const { message, results } = await runTwice(store.endpoint)
  t.match(results, [{ load: 'put-4k' }, { load: 'put-4k' }])
  t.ok(results[0]!.requests > 0)
  const where = `bucket ${store.buckets[1]} stays at ${store.endpoint.url.host}: `
  t.match(message, new RegExp(`^${where}DELETE .* was answered with 409`))
})

t.test('what was measured before a store breaks is kept', async (t) => {
  const store = await openStore(t, ({ method, isBucket, bucket }) =>
    method === 'PUT' && isBucket && bucket === store.buckets[1] ? 503 : undefined,
  )
  const { message, results } = await runTwice(store.endpoint)
  t.equal(results.length, 1)
  t.match(message, /^PUT 4 KiB at 127\.0\.0\.1:\d+: PUT .* was answered with 503/)
  t.notMatch(message, /stays/, 'it was not made')
})
