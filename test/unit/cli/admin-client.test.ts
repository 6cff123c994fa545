// How requests of the admin API are signed, with whose key, and what is made of the answers.
import t from 'tap'
import {
  NoAnswer,
  openAdminClient,
  parseEndpoint,
  signRequest,
} from '../../../src/cli/admin-client.ts'
import { findCredentials, parseProfile } from '../../../src/cli/admin-credentials.ts'
import { prepareDigests } from '../../../src/digest/digest.ts'
import { findAdminAddress } from '../../../src/gateway/admin.ts'
import type { AdminApi } from '../../../src/gateway/admin-api.ts'
import { realWorld, type World } from '../../../src/kit/world.ts'
import { ACCESS_KEY, SECRET, startGateway } from '../gateway/server-fixture.ts'

const KEYS = { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET }

t.before(() => prepareDigests())

function diskWith(text: string): Pick<World, 'disk'> {
  const { disk } = realWorld()
  return { disk: { ...disk, readFile: async () => Buffer.from(text) } }
}

t.test('endpoints', async (t) => {
  t.equal(parseEndpoint('http://127.0.0.1:9000').host, '127.0.0.1:9000')
  t.equal(parseEndpoint('https://store.example/').origin, 'https://store.example')
  for (const text of ['127.0.0.1:9000', 'ftp://x', 'http://x/y', 'http://x?y', 'http://u:p@x', ''])
    t.throws(() => parseEndpoint(text), { exitCode: 2, message: /--endpoint/ }, text)
})

t.test('credentials: the environment beats the file, halves are refused', async (t) => {
  const own = { KINTSUGI_ROOT_ACCESS_KEY_ID: 'a', KINTSUGI_ROOT_SECRET_ACCESS_KEY: 'b' }
  const aws = { AWS_ACCESS_KEY_ID: 'c', AWS_SECRET_ACCESS_KEY: 'd' }
  const file = { AWS_SHARED_CREDENTIALS_FILE: '/f' }
  const text =
    '[other]\naws_access_key_id = x\n[default]\r\naws_access_key_id = e\naws_secret_access_key = f=/+\n[z]\naws_access_key_id=y'
  const find = (environment: Record<string, string>) => findCredentials(environment, diskWith(text))
  t.same(await find({ ...file, ...aws, ...own }), { accessKeyId: 'a', secretAccessKey: 'b' })
  t.same(await find({ ...file, ...aws }), { accessKeyId: 'c', secretAccessKey: 'd' })
  t.same(await find(file), { accessKeyId: 'e', secretAccessKey: 'f=/+' })
  await t.rejects(find({}), { exitCode: 2, message: /are missing/ })
  await t.rejects(find({ AWS_ACCESS_KEY_ID: 'c' }), { exitCode: 2, message: /belong together/ })
  t.equal(parseProfile('[other]\naws_access_key_id = x\naws_secret_access_key = y'), undefined)
  await t.rejects(findCredentials(file, { disk: { ...realWorld().disk, readFile: failing } }), {
    exitCode: 2,
    message: /EACCES/,
  })
})

async function failing(): Promise<Uint8Array> {
  throw new Error('EACCES')
}

t.test('the gateway takes the signature, and nobody else gets in', async (t) => {
  const asked: unknown[] = []
  const admin = {
    inspect: async (request: unknown) => {
      asked.push(request)
      return { kind: 'no-version' }
    },
    healing: () => ({ verified: false }),
    beginHeal: () => ({ askedMs: 1, scrubsEnded: 2 }),
    releaseOrphans: async () => ({ heldSinceMs: 3 }),
    status: async () => {
      throw new Error('a secret of the inside')
    },
  } as unknown as AdminApi
  const { port } = await startGateway(t, {}, { admin })
  const { http } = realWorld()
  const origin = new URL(`http://127.0.0.1:${port}`)
  const signer = { origin, credentials: KEYS, region: 'anywhere', nowMs: realWorld().clock.now() }
  const key = "a b/ü+&=%2F?#'*"
  const query = { bucket: 'bucket', key, versionId: 'null', afterPart: '7' }
  const request = signRequest({ method: 'GET', resource: 'inspect', query }, signer)
  const answer = await http.send(request)
  t.equal(answer.status, 404, answer.text)
  t.match(JSON.parse(answer.text), { error: { code: 'NoSuchVersion' } })
  t.same(asked, [{ bucket: 'bucket', key, versionId: 'null', afterPart: 7 }])

  const begun = await http.send(signRequest({ method: 'POST', resource: 'heal' }, signer))
  t.same(JSON.parse(begun.text), { askedMs: 1, scrubsEnded: 2 })
  const release = { method: 'POST', resource: 'orphans/release' } as const
  t.same(JSON.parse((await http.send(signRequest(release, signer))).text), { heldSinceMs: 3 })
  const failed = await http.send(signRequest({ method: 'GET', resource: 'status' }, signer))
  t.equal(failed.status, 500)
  t.notMatch(failed.text, /secret/)

  const send = async (change: object, asked = signer) => {
    const signed = signRequest({ method: 'GET', resource: 'heal' }, asked)
    const { status, text } = await http.send({ ...signed, ...change })
    return `${status} ${JSON.parse(text).error?.code}`
  }
  t.equal(await send({}), '200 undefined')
  t.equal(await send({ url: `${origin.origin}/_kintsugi/v1/status` }), '403 SignatureDoesNotMatch')
  t.equal(await send({ method: 'POST' }), '403 SignatureDoesNotMatch')
  t.equal(await send({ headers: {} }), '403 AccessDenied')
  const stranger = { ...KEYS, secretAccessKey: 'x' }
  t.equal(await send({}, { ...signer, credentials: stranger }), '403 SignatureDoesNotMatch')
  t.equal(await send({}, { ...signer, nowMs: 0 }), '403 RequestTimeTooSkewed')
  const odd = async (method: 'GET' | 'POST', resource: string, query = {}) =>
    (await http.send(signRequest({ method, resource, query }, signer))).status
  t.equal(await odd('GET', 'none'), 400)
  for (const [method, resource] of [
    ['GET', 'map'],
    ['POST', 'nodes/drain'],
    ['POST', 'nodes/remove'],
  ] as const) {
    const { status, text } = await http.send(signRequest({ method, resource }, signer))
    t.equal(status, 409, 'a store on one machine has none of it')
    t.match(JSON.parse(text).error, {
      code: 'DriveRefused',
      message: /no nodes: see kintsugi drive list/,
    })
  }
  t.equal(await odd('POST', 'status'), 405)
  t.equal(await odd('GET', 'orphans/release'), 405)
  t.equal(await odd('GET', 'heal', { deep: '1' }), 400, 'unknown parameters are not ignored')
  t.equal(await odd('GET', 'inspect', { bucket: 'b' }), 400)
  t.equal(await odd('GET', 'inspect', { bucket: 'b', key: 'k', afterPart: '-1' }), 400)
})

t.test('a bucket in the Host makes the path a key', async (t) => {
  const find = (url: string, host: string) => findAdminAddress(url, host, ['localhost'])
  t.equal(find('/_kintsugi/v1/status', 'photos.localhost:9000'), undefined)
  t.match(find('/_kintsugi/v1/status?a=b', 'localhost:9000'), { rawPath: '/_kintsugi/v1/status' })
  t.equal(find('/kintsugi/v1/status', 'localhost'), undefined)
})

t.test('answers that are none', async (t) => {
  process.env.AWS_ACCESS_KEY_ID = 'a'
  process.env.AWS_SECRET_ACCESS_KEY = 'b'
  const client = (status: number, text: string) =>
    openAdminClient(
      { endpoint: 'http://x' },
      { ...realWorld(), http: { ...realWorld().http, send: async () => ({ status, text }) } },
    )
  await t.rejects((await client(200, '<html>')).status(), { exitCode: 1, message: /is it a Kin/ })
  await t.rejects(
    (await client(503, '{"error":{"code":"SlowDown","message":"Later."}}')).status(),
    {
      exitCode: 1,
      message: 'http://x answered 503: Later. (SlowDown)',
    },
  )
  t.same(await (await client(200, '{}')).healing(), {})
  const thrown = async (status: number) =>
    await (await client(status, '')).status().catch((error: unknown) => error)
  t.ok((await thrown(503)) instanceof NoAnswer, 'it may be starting')
  t.notOk((await thrown(500)) instanceof NoAnswer)
  const nobody = await openAdminClient({ endpoint: 'http://127.0.0.1:1' }, realWorld())
  const refused = await nobody.status().catch((error: unknown) => error)
  t.ok(refused instanceof NoAnswer)
  t.match(refused, { exitCode: 1, message: /^no answer from http:\/\/127\.0\.0\.1:1: / })
})

t.test('a store that serves http is asked by https', async (t) => {
  process.env.AWS_ACCESS_KEY_ID = 'a'
  process.env.AWS_SECRET_ACCESS_KEY = 'b'
  const { port } = await startGateway(t)
  const endpoint = `https://127.0.0.1:${port}`
  const refused = await (await openAdminClient({ endpoint }, realWorld()))
    .status()
    .catch((error: unknown) => error)
  t.ok(refused instanceof NoAnswer)
  t.match(refused, { message: `no answer from ${endpoint}: does it serve https?` })
})
