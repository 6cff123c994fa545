// The gateway over real sockets: real clients' requests, refusals before the body, limits, draining.
import { once } from 'node:events'
import { Agent, request as sendHttp } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import t from 'tap'
import type { Call, Reply } from '../../../src/gateway/call.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import {
  ACCESS_KEY,
  answerOf,
  ask,
  codeOf,
  SECRET,
  signHeaders,
  startGateway,
  talkRaw,
  tell,
  toldBy,
} from './server-fixture.ts'

function newClient(host: string, options: { forcePathStyle?: boolean } = {}): S3Client {
  return new S3Client({
    endpoint: `http://${host}`,
    region: 'eu-central-1',
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET },
    forcePathStyle: true,
    maxAttempts: 1,
    ...options,
  })
}

t.test('the SDK puts bytes with a hash, and streams with trailers', async (t) => {
  const calls: { operation: string; bytes: number; encoding: string | undefined }[] = []
  const operation = async (call: Call): Promise<Reply> => {
    calls.push({
      operation: call.operation,
      bytes: call.body.bytes,
      encoding: call.headers['content-encoding'],
    })
    const reply = await tell(call)
    const { digests } = JSON.parse((reply.body as { text: string }).text)
    return { status: 200, headers: { etag: `"${digests.md5}"` } }
  }
  const { host } = await startGateway(t, {}, { operation })
  const client = newClient(host)
  const Key = 'ä b/../c+=.txt'
  await client.send(new PutObjectCommand({ Bucket: 'bkt', Key, Body: 'hello' }))
  const Body = Readable.from([Buffer.alloc(100_000, 1), Buffer.alloc(50_000, 2)])
  await client.send(
    new PutObjectCommand({
      Bucket: 'bkt',
      Key,
      Body,
      ContentLength: 150_000,
      ContentEncoding: 'gzip',
    }),
  )
  client.destroy()
  t.same(calls, [
    { operation: 'PutObject', bytes: 5, encoding: undefined },
    { operation: 'PutObject', bytes: 150_000, encoding: 'gzip' },
  ])
})

t.test('the SDK is understood in path style and by virtual host', async (t) => {
  const heard: string[] = []
  const operation = async (call: Call): Promise<Reply> => {
    heard.push(`${call.operation} ${call.bucket} ${call.key} ${call.baseUrl}`)
    return { status: 200, body: { kind: 'text', text: '<Result/>' } }
  }
  const fixture = await startGateway(t, {}, { operation })
  const localhost = `localhost:${fixture.port}`
  // bkt.localhost need not resolve: the SDK signs it, but the socket goes to 127.0.0.1.
  for (const [host, forcePathStyle] of [
    [fixture.host, true],
    [localhost, false],
  ] as const) {
    const client = newClient(host, { forcePathStyle })
    client.middlewareStack.add(
      (next) => async (args) => {
        const request = args.request as { hostname: string }
        request.hostname = '127.0.0.1'
        return next(args)
      },
      { step: 'finalizeRequest', priority: 'low' },
    )
    await client.send(new ListObjectsV2Command({ Bucket: 'bkt', Prefix: 'a b', Delimiter: '/' }))
    await client.send(new CopyObjectCommand({ Bucket: 'bkt', Key: 'k', CopySource: 'bkt/x' }))
    await client.send(
      new DeleteObjectsCommand({ Bucket: 'bkt', Delete: { Objects: [{ Key: 'a' }] } }),
    )
    client.destroy()
  }
  const told = (base: string) => [
    `ListObjectsV2 bkt  http://${base}/`,
    `CopyObject bkt k http://${base}/`,
    `DeleteObjects bkt  http://${base}/`,
  ]
  t.same(heard, [...told(fixture.host), ...told(localhost)])
})

t.test('presigned URLs of the SDK work, and carry their headers as parameters', async (t) => {
  const { host } = await startGateway(t)
  const client = newClient(host)
  const get = await getSignedUrl(client, new GetObjectCommand({ Bucket: 'bkt', Key: 'k' }))
  t.equal((await fetch(get)).status, 200)
  t.equal((await fetch(get, { method: 'HEAD' })).status, 403, 'the method is signed')
  t.equal((await fetch(`${get}&versionId=x`)).status, 403, 'the query is signed')
  const put = new PutObjectCommand({ Bucket: 'bkt', Key: 'k', Metadata: { colour: 'red' } })
  const url = await getSignedUrl(client, put, { unhoistableHeaders: new Set() })
  const response = await fetch(url, { method: 'PUT', body: '' })
  t.match(await response.json(), { headers: { 'x-amz-meta-colour': 'red' } })
  client.destroy()
})

t.test('the CRC of no body that the SDK presigns is signed and not heard', async (t) => {
  const { host } = await startGateway(t)
  const client = newClient(host)
  const key = { Bucket: 'bkt', Key: 'k' }
  const uploadId = 'f'.repeat(32)
  const checksum = { algorithm: 'CRC64NVME', type: 'FULL_OBJECT', value: 'M3eFcAZSQlc=' }
  const put = await getSignedUrl(client, new PutObjectCommand(key))
  const part = new UploadPartCommand({ ...key, UploadId: uploadId, PartNumber: 1 })
  const send = (url: string, headers = {}) => fetch(url, { method: 'PUT', body: 'hello', headers })
  for (const url of [put, await getSignedUrl(client, part)]) {
    t.match(url, 'x-amz-checksum-crc32=AAAAAA%3D%3D')
    t.match(url, 'x-amz-sdk-checksum-algorithm=CRC32')
    const response = await send(url)
    t.equal(response.status, 200)
    t.match(await response.json(), { body: 'hello', digests: { checksum } })
    const other = url.replace('AAAAAA%3D%3D', 'NhCmhg%3D%3D')
    t.equal((await send(other)).status, 403, 'it is signed')
    t.equal((await send(url, { 'x-amz-checksum-crc32': 'NhCmhg==' })).status, 403, 'unsigned')
  }
  client.destroy()
})

t.test('a checksum that goes with a presigned URL as a header is compared', async (t) => {
  const { host } = await startGateway(t)
  const client = newClient(host)
  const unhoistableHeaders = new Set(['x-amz-checksum-crc32'])
  for (const [ChecksumCRC32, status] of [
    ['NhCmhg==', 200],
    ['AAAAAA==', 400],
  ] as const) {
    const put = new PutObjectCommand({ Bucket: 'bkt', Key: 'k', ChecksumCRC32 })
    const url = await getSignedUrl(client, put, { unhoistableHeaders })
    t.notMatch(url, 'x-amz-checksum-crc32=')
    const headers = { 'x-amz-checksum-crc32': ChecksumCRC32 }
    const response = await fetch(url, { method: 'PUT', body: 'hello', headers })
    t.equal(response.status, status)
    t.match(await response.text(), status === 200 ? '"algorithm":"CRC32"' : 'BadDigest')
  }
  client.destroy()
})

t.test('every reply carries ids and the name of the server', async (t) => {
  const fixture = await startGateway(t)
  const answer = await ask(fixture, { url: '/bkt/k', signed: false })
  t.equal(answer.status, 403)
  t.match(answer.headers, { server: 'Kintsugi', 'content-type': 'application/xml', date: /GMT/ })
  t.match(answer.text, `<RequestId>${String(answer.headers['x-amz-request-id'])}</RequestId>`)
  t.match(answer.text, `<HostId>${String(answer.headers['x-amz-id-2'])}</HostId>`)
  t.match(answer.text, '<Resource>/bkt/k</Resource>')
})

t.test('HEAD errors have no body', async (t) => {
  const fixture = await startGateway(t)
  const answer = await ask(fixture, { method: 'HEAD', url: '/bkt/k', signed: false })
  t.match(answer, { status: 403, text: '', headers: { 'content-length': '0' } })
})

t.test('a refusal comes before 100 Continue, an accepted body after it', async (t) => {
  const fixture = await startGateway(t)
  const put = (headers: Record<string, string>) => {
    const outgoing = sendHttp({
      ...{ host: '127.0.0.1', port: fixture.port, method: 'PUT', path: '/bkt/k', agent: false },
      headers: { ...headers, expect: '100-continue', 'content-length': '5' },
    })
    let continued = false
    outgoing.once('continue', () => {
      continued = true
      outgoing.end('hello')
    })
    outgoing.flushHeaders()
    return { outgoing, isContinued: () => continued }
  }
  const refused = put({ host: fixture.host })
  const refusal = await answerOf(refused.outgoing)
  t.match(refusal, { status: 403, headers: { connection: 'close' } })
  t.notOk(refused.isContinued())
  refused.outgoing.destroy()

  const wanted = { method: 'PUT', url: '/bkt/k', body: 'hello' }
  const accepted = put(signHeaders(fixture.host, wanted))
  const answer = await answerOf(accepted.outgoing)
  t.equal(answer.status, 200)
  t.ok(accepted.isContinued())
  t.equal(toldBy(answer).body, 'hello')
})

t.test('a refusal before 100 Continue ends the connection, also of an empty body', async (t) => {
  const fixture = await startGateway(t)
  const ask = async (headers: Record<string, string>) => {
    const outgoing = sendHttp({
      ...{ host: '127.0.0.1', port: fixture.port, method: 'PUT', path: '/bkt/k', agent: false },
      headers: { ...headers, 'content-length': '0' },
    })
    outgoing.end()
    return await answerOf(outgoing)
  }
  const closed = await ask({ host: fixture.host, expect: '100-continue' })
  t.match(closed, { status: 403, headers: { connection: 'close' } })
  const kept = await ask({ host: fixture.host, connection: 'keep-alive' })
  t.match(kept, { status: 403, headers: { connection: 'keep-alive' } })
})

t.test('a refused large body gets its answer although it is never read', async (t) => {
  const fixture = await startGateway(t)
  const socket = connect(fixture.port, '127.0.0.1')
  socket.on('error', () => {}) // The server may reset once it has waited long enough.
  socket.write(`PUT /bkt/k HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n`)
  socket.write(Buffer.alloc(1_000_000))
  let text = ''
  while (!text.includes('</Error>')) text += String((await once(socket, 'data'))[0])
  t.match(text, /^HTTP\/1.1 403 Forbidden\r\n/)
  t.match(text, /connection: close/i)
  socket.destroy()
})

t.test('a small body that was not read leaves the connection usable', async (t) => {
  const fixture = await startGateway(t)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const sockets = new Set<unknown>()
  for (let round = 0; round < 3; round += 1) {
    const outgoing = sendHttp({
      ...{ host: '127.0.0.1', port: fixture.port, method: 'PUT', path: '/bkt/k', agent },
      headers: { 'content-length': '1000' },
    })
    const answer = answerOf(outgoing)
    outgoing.end(Buffer.alloc(1000))
    t.equal((await answer).status, 403)
    sockets.add(outgoing.socket)
  }
  t.equal(sockets.size, 1)
  agent.destroy()
})

t.test('what Node refuses to parse is answered in S3', async (t) => {
  const { port } = await startGateway(t)
  const long = await talkRaw(port, `GET /b HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(70_000)}\r\n\r\n`)
  t.match(long, /^HTTP\/1.1 400 /)
  t.match(long, '<Code>RequestHeaderSectionTooLarge</Code>')
  t.match(long, '<MaxSizeAllowed>65536</MaxSizeAllowed>')
  t.match(await talkRaw(port, 'GARBAGE\r\n\r\n'), '<Code>BadRequest</Code>')
  const negative = 'PUT /bkt/k HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n'
  t.match(await talkRaw(port, negative), '<Code>BadRequest</Code>')
  const both =
    'PUT /bkt/k HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n'
  t.match(await talkRaw(port, `${both}0\r\n\r\n`), /^HTTP\/1.1 400 /)
})

t.test('30 KiB of headers are fine', async (t) => {
  const fixture = await startGateway(t)
  const answer = await ask(fixture, { url: '/bkt/k', headers: { 'x-long': 'x'.repeat(30_000) } })
  t.equal(answer.status, 200)
})

t.test('a body that breaks off stores nothing, and the server lives', async (t) => {
  const seen: unknown[] = []
  const operation = async (call: Call): Promise<Reply> => {
    try {
      return await tell(call)
    } catch (error) {
      seen.push(error)
      throw error
    }
  }
  const fixture = await startGateway(t, {}, { operation })
  const headers = signHeaders(fixture.host, {
    ...{ method: 'PUT', url: '/bkt/k' },
    headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  })
  const socket = connect(fixture.port, '127.0.0.1')
  const head = Object.entries({ ...headers, 'content-length': '100' }).map((pair) =>
    pair.join(': '),
  )
  socket.write(`PUT /bkt/k HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\nhalf`)
  await new Promise<void>((resolve) => socket.once('ready', resolve))
  while (seen.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.destroy()
  }
  t.match(seen, [{ code: 'IncompleteBody' }])
  t.equal((await ask(fixture, { url: '/bkt/k' })).status, 200)
})

t.test('a body that falls silent is given up', async (t) => {
  const fixture = await startGateway(t, { limits: { bodyIdleMs: 50 } })
  const headers = signHeaders(fixture.host, {
    ...{ method: 'PUT', url: '/bkt/k' },
    headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  })
  const outgoing = sendHttp({
    ...{ host: '127.0.0.1', port: fixture.port, method: 'PUT', path: '/bkt/k', agent: false },
    headers: { ...headers, 'content-length': '100000' },
  })
  outgoing.write('a little')
  const answer = await answerOf(outgoing)
  t.equal(answer.status, 400)
  t.equal(codeOf(answer), 'RequestTimeout')
  outgoing.destroy()
})

t.test('a body that trickles is given up, whatever is asked', async (t) => {
  // Nobody sends so fast: after the time for the start whatever comes is late.
  const limits = { bodyIdleMs: 500, bodyBytesPerSecondMin: 1e12 }
  const fixture = await startGateway(t, { limits })
  const headers = signHeaders(fixture.host, {
    ...{ method: 'PUT', url: '/bkt/k' },
    headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' },
  })
  const outgoing = sendHttp({
    ...{ host: '127.0.0.1', port: fixture.port, method: 'PUT', path: '/bkt/k', agent: false },
    headers: { ...headers, 'content-length': '100000' },
  })
  const drip = setInterval(() => outgoing.write('.'), 25)
  t.teardown(() => clearInterval(drip))
  const answer = await answerOf(outgoing)
  t.equal(answer.status, 400)
  t.equal(codeOf(answer), 'RequestTimeout')
  clearInterval(drip)
  outgoing.destroy()
})

t.test('pitfall 58: what is too much is told to slow down', async (t) => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const operation = async (): Promise<Reply> => {
    await held
    return { status: 200 }
  }
  const limits = { inFlight: 1, waiting: 1, waitMs: 60_000 }
  const fixture = await startGateway(t, { limits }, { operation })
  const answers = [1, 2, 3].map(() => ask(fixture, { url: '/bkt/k' }))
  const first = await Promise.race(answers)
  t.match(first, { status: 503, headers: { 'retry-after': '1' } })
  t.equal(codeOf(first), 'SlowDown')
  release()
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  t.same(statuses.sort(), [200, 200, 503])
})

t.test('who waits too long for a turn is told to slow down', async (t) => {
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const operation = async (): Promise<Reply> => {
    await held
    return { status: 200 }
  }
  const fixture = await startGateway(
    t,
    { limits: { inFlight: 1, waiting: 5, waitMs: 20 } },
    { operation },
  )
  const answers = [1, 2].map(() => ask(fixture, { url: '/bkt/k' }))
  t.equal((await Promise.race(answers)).status, 503)
  release()
  t.same((await Promise.all(answers)).map(({ status }) => status).sort(), [200, 503])
})

t.test('faults inside become S3 errors and are logged once', async (t) => {
  const logged: object[] = []
  const log = { ...silentLog, error: (data: object) => logged.push(data), warn: () => {} }
  const faults = [
    [Object.assign(new Error('x'), { code: 'METADATA_UNAVAILABLE' }), 503, 'ServiceUnavailable'],
    [Object.assign(new Error('x'), { code: 'TOO_FEW_DRIVES' }), 503, 'ServiceUnavailable'],
    [Object.assign(new Error('x'), { code: 'SHARDS_AWAY' }), 503, 'ServiceUnavailable'],
    [Object.assign(new Error('lost'), { code: 'TOO_FEW_SHARDS' }), 500, 'InternalError'],
    [
      Object.assign(new Error('x'), { code: 'DRIVE_UNAVAILABLE', trouble: 'failed' }),
      503,
      'ServiceUnavailable',
    ],
    [
      Object.assign(new Error('x'), { code: 'DRIVE_UNAVAILABLE', trouble: 'full' }),
      507,
      'InsufficientStorage',
    ],
    [Object.assign(new Error('x'), { code: 'OVERLOADED' }), 503, 'SlowDown'],
    [Object.assign(new Error('x'), { code: 'BUCKET_GONE' }), 404, 'NoSuchBucket'],
    [new Error('surprise'), 500, 'InternalError'],
  ] as const
  let fault: Error = faults[0][0]
  const operation = async (): Promise<Reply> => Promise.reject(fault)
  const fixture = await startGateway(t, {}, { operation, log })
  for (const [error, status, code] of faults) {
    fault = error
    const answer = await ask(fixture, { url: '/bkt/k' })
    t.equal(answer.status, status)
    t.equal(codeOf(answer), code)
    t.notMatch(answer.text, 'surprise', 'what went wrong inside is not told to clients')
  }
  t.equal(logged.length, 2)
  t.match(logged, [{ error: /lost/ }, { error: /surprise/ }])
})

t.test('no secret, signature or query stands in the log', async (t) => {
  const lines: string[] = []
  const tellLine = (data: object): void => {
    lines.push(JSON.stringify(data))
  }
  const log = { ...silentLog, info: tellLine, warn: tellLine, error: tellLine, debug: tellLine }
  const fixture = await startGateway(t, {}, { log })
  const client = newClient(fixture.host)
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: 'bkt', Key: 'k' }))
  client.destroy()
  await (await fetch(url)).text()
  await (await fetch(`${url}0`)).text()
  await ask(fixture, { method: 'PUT', url: '/bkt/k?x-id=PutObject', body: 'hello' })
  while (lines.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  const text = lines.join('\n')
  t.notMatch(text, SECRET)
  t.notMatch(text, 'Signature=')
  t.notMatch(text, '?')
  t.match(JSON.parse(lines[2]!), {
    method: 'PUT',
    path: '/bkt/k',
    operation: 'PutObject',
    status: 200,
    bytesIn: 5,
    accessKeyId: ACCESS_KEY,
  })
})

t.test('requests are counted by operation and status', async (t) => {
  const registry = new Registry()
  const fixture = await startGateway(t, {}, { registry })
  await ask(fixture, { url: '/bkt/k' })
  await ask(fixture, { url: '/bkt/k', signed: false })
  await ask(fixture, { url: '/%zz', signed: false })
  const text = await registry.metrics()
  t.match(text, 'kintsugi_s3_requests_total{operation="GetObject",status="200"} 1')
  t.match(text, 'kintsugi_s3_requests_total{operation="GetObject",status="403"} 1')
  t.match(text, 'kintsugi_s3_requests_total{operation="none",status="400"} 1')
  t.match(text, 'kintsugi_s3_requests_in_flight 0')
  const bucket = /kintsugi_s3_request_seconds_bucket\{le="([^"]+)",operation="GetObject"\} (\d+)/g
  const buckets = [...text.matchAll(bucket)].map(([, le, count]) => [le, Number(count)] as const)
  t.equal(buckets.length, 16)
  t.strictSame(buckets.at(-1), ['+Inf', 2])
  t.ok(buckets.every(([, count], at) => count >= (buckets[at - 1]?.[1] ?? 0)))
  t.match(text, 'kintsugi_s3_request_seconds_count{operation="GetObject"} 2')
  t.match(text, /kintsugi_s3_request_seconds_sum\{operation="GetObject"\} 0\.\d+/)
  t.match(text, /kintsugi_s3_bytes_total\{direction="out"\} [1-9]/)
})

t.test('a port in use is told with its code', async (t) => {
  const { port } = await startGateway(t)
  const { gateway } = await startGateway(t)
  await gateway.close({ deadlineMs: 10 })
  const other = await startGateway(t)
  await other.gateway.close({ deadlineMs: 10 })
  await t.rejects(startGatewayOn(t, port), { code: 'EADDRINUSE' })
})

async function startGatewayOn(t: Parameters<typeof startGateway>[0], port: number): Promise<void> {
  const { createGateway } = await import('../../../src/gateway/server.ts')
  const { realWorld } = await import('../../../src/kit/world.ts')
  const gateway = createGateway(
    {
      domains: [],
      region: { name: 'r', enforced: false },
      credentials: { find: () => undefined },
      strict: false,
    },
    { world: realWorld(), log: silentLog, objects: {} as never, operations: {} as never },
  )
  t.teardown(() => gateway.close({ deadlineMs: 10 }))
  await gateway.listen({ address: '127.0.0.1', port })
}

t.test('closing lets a request finish, and breaks off one that does not', async (t) => {
  let arrived = (): void => {}
  let release = (): void => {}
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const operation = async ({ key, signal }: Call): Promise<Reply> => {
    arrived()
    if (key === 'stuck') await new Promise((_, reject) => signal.addEventListener('abort', reject))
    await held
    return { status: 200 }
  }
  const patient = await startGateway(t, {}, { operation })
  const answer = ask(patient, { url: '/bkt/k' })
  await arrival
  const closed = patient.gateway.close({ deadlineMs: 60_000 })
  release()
  t.match(await answer, { status: 200, headers: { connection: 'close' } })
  await closed

  const hasty = await startGateway(t, {}, { operation })
  const broken = ask(hasty, { url: '/bkt/stuck' })
  broken.catch(() => {}) // Looked at below.
  await new Promise((resolve) => setTimeout(resolve, 50))
  await hasty.gateway.close({ deadlineMs: 20 })
  await t.rejects(broken)
})
