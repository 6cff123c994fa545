// Signature Version 2 by header, as boto 2 and old s3cmd sign; and requests that nobody signed.
import { createHash, createHmac } from 'node:crypto'
import t, { type Test } from 'tap'
import { TEST_KEYS } from '../support/server.ts'
import { presignV2 } from './signing.ts'
import {
  type Answer,
  ask,
  BUCKET,
  elementsOf,
  listed,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/old`
const MINUTE_MS = 60_000

t.test('version 2 by header, and nobody', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 23: a request signed by version 2 is served', async (t) =>
      served(t, wire),
    )
    await t.test('pitfall 22: each fault is explained', async (t) => faults(t, wire))
    await t.test('pitfall 19: the clock may be off by 15 minutes', async (t) => skew(t, wire))
    await t.test('pitfall 24: nobody may do nothing', async (t) => anonymous(t, wire))
    await t.test('pitfall 25: nor change headers of an answer', async (t) => overrides(t, wire))
    t.same(await listed(wire), ['old'], 'nothing else is stored')
  })
})

interface Asked {
  method?: string
  path?: string
  /** As it goes over the wire; signed but for `unsignedQuery`. */
  query?: Record<string, string>
  unsignedQuery?: Record<string, string>
  headers?: Record<string, string>
  /** Sent in place of those that were signed. */
  sent?: Record<string, string>
  body?: string
  resource?: string
  date?: string
  secret?: string
  key?: string
  host?: string
}

/** Sends a request signed as boto 2 does it. */
function ask2(wire: Wire, asked: Asked = {}): Promise<Answer> {
  const { method = 'GET', path = PATH, query = {}, headers = {}, body } = asked
  const date = asked.date ?? new Date().toUTCString()
  const amz = Object.keys(headers)
    .filter((name) => name.startsWith('x-amz-'))
    .sort()
  const named = Object.entries(query).map(([name, value]) =>
    value === '' ? name : `${name}=${value}`,
  )
  const resource =
    asked.resource ?? (named.length === 0 ? path : `${path}?${named.sort().join('&')}`)
  const text = [
    ...[method, headers['content-md5'] ?? '', headers['content-type'] ?? ''],
    headers['x-amz-date'] === undefined ? date : '',
    ...amz.map((name) => `${name}:${headers[name]}`),
    resource,
  ].join('\n')
  const secret = asked.secret ?? TEST_KEYS.secretAccessKey
  const signature = createHmac('sha1', secret).update(text).digest('base64')
  const authorization = `AWS ${asked.key ?? TEST_KEYS.accessKeyId}:${signature}`
  return ask(wire, {
    ...{ method, path, query: { ...query, ...asked.unsignedQuery }, signer: false },
    headers: { ...headers, ...asked.sent, date, authorization },
    ...(body === undefined ? {} : { body }),
    ...(asked.host === undefined ? {} : { host: asked.host }),
  })
}

async function served(t: Test, wire: Wire): Promise<void> {
  const headers = {
    'content-type': 'text/plain',
    'content-md5': createHash('md5').update('hello').digest('base64'),
    'x-amz-meta-b': '2',
    'x-amz-meta-a': 'one',
  }
  t.equal((await ask2(wire, { method: 'PUT', headers, body: 'hello' })).status, 200)
  const read = await ask2(wire)
  t.equal(read.text, 'hello')
  t.match(read.headers, { 'content-type': 'text/plain', 'x-amz-meta-a': 'one' })
  const dated = { 'x-amz-date': new Date().toUTCString() }
  const old = 'Tue, 01 Jan 2019 00:00:00 GMT'
  t.equal((await ask2(wire, { headers: dated, date: old })).status, 200, 'x-amz-date wins')
  const host = `${BUCKET}.localhost:${wire.port}`
  t.equal((await ask2(wire, { host, path: '/old', resource: PATH })).text, 'hello', 'virtual host')
  t.equal((await ask2(wire, { query: { acl: '' } })).status, 200, 'a sub-resource')
  const overridden = await ask2(wire, { query: { 'response-content-type': 'a/b' } })
  t.equal(overridden.headers['content-type'], 'a/b')
  const listing = await ask2(wire, { path: `/${BUCKET}/`, unsignedQuery: { prefix: 'o' } })
  t.same(elementsOf(listing, 'Key'), ['old'], 'other parameters are not signed')
  const slash = await ask2(wire, { path: `/${BUCKET}`, resource: `/${BUCKET}/` })
  t.same(elementsOf(slash, 'Key'), ['old'], 'botocore signs a slash that it does not send')
  const wrong = { ...headers, 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' }
  const mismatch = await ask2(wire, { method: 'PUT', headers: wrong, body: 'hello' })
  wantError(t, mismatch, 400, 'BadDigest')
}

async function faults(t: Test, wire: Wire): Promise<void> {
  const mismatch = {
    AWSAccessKeyId: TEST_KEYS.accessKeyId,
    StringToSign: true,
    SignatureProvided: true,
  } as const
  const put: Asked = { method: 'PUT', body: 'x', headers: { 'content-type': 'a/b' } }
  const cases: [name: string, asked: Asked][] = [
    ['another secret', { ...put, secret: 'x' }],
    ['another type', { ...put, sent: { 'content-type': 'text/html' } }],
    ['an MD5 that was not signed', { ...put, sent: { 'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==' } }],
    ['metadata that was not signed', { ...put, sent: { 'x-amz-meta-a': '1' } }],
    ['a sub-resource that was not signed', { ...put, unsignedQuery: { tagging: '' } }],
    ['another path', { ...put, resource: `/${BUCKET}/other` }],
  ]
  for (const [name, asked] of cases) {
    wantError(t, await ask2(wire, asked), 403, 'SignatureDoesNotMatch', mismatch, name)
  }
  const nobody = await ask2(wire, { ...put, key: 'NOBODY' })
  wantError(t, nobody, 403, 'InvalidAccessKeyId', { AWSAccessKeyId: 'NOBODY' })
  const session = { ...put, headers: { 'x-amz-security-token': 'abc' } }
  wantError(t, await ask2(wire, session), 400, 'InvalidToken')
  for (const authorization of ['AWS', `AWS ${TEST_KEYS.accessKeyId}`, 'AWS :abc']) {
    const date = new Date().toUTCString()
    const answer = await ask(wire, { signer: false, path: PATH, headers: { date, authorization } })
    wantError(t, answer, 400, 'InvalidArgument', {}, authorization)
  }
  const hold = { ...put, unsignedQuery: { 'legal-hold': '' } }
  wantError(t, await ask2(wire, hold), 400, 'InvalidRequest', {}, 'what version 2 does not cover')
  const url = presignV2({ method: 'PUT', resource: PATH })
  const behind = { method: 'PUT', path: PATH, signer: false, body: 'x' } as const
  const query = Object.fromEntries(new URLSearchParams(`${url}&retention`))
  wantError(t, await ask(wire, { ...behind, query }), 400, 'InvalidRequest', {}, 'nor in a URL')
}

async function skew(t: Test, wire: Wire): Promise<void> {
  const at = (ms: number) => new Date(Date.now() + ms).toUTCString()
  for (const minutes of [-14, 14]) {
    t.equal((await ask2(wire, { date: at(minutes * MINUTE_MS) })).status, 200, `${minutes} minutes`)
  }
  for (const minutes of [-16, 16]) {
    const answer = await ask2(wire, { date: at(minutes * MINUTE_MS) })
    wantError(t, answer, 403, 'RequestTimeTooSkewed', { MaxAllowedSkewMilliseconds: '900000' })
  }
  for (const date of ['yesterday', 'Tue, 07 Jul 1950 21:53:04 GMT'])
    wantError(t, await ask2(wire, { date }), 403, 'AccessDenied', {}, date)
}

async function anonymous(t: Test, wire: Wire): Promise<void> {
  const requests: [method: string, path: string, query?: Record<string, string>][] = [
    ['GET', '/'],
    ['GET', `/${BUCKET}`],
    ['GET', '/no-such-bucket'],
    ['GET', PATH],
    ['GET', `/${BUCKET}/missing`],
    ['PUT', PATH],
    ['DELETE', PATH],
    ['GET', PATH, { versionId: 'null' }],
    ['PUT', PATH, { tagging: '' }],
    ['POST', PATH, { uploads: '' }],
    ['POST', `/${BUCKET}`, { delete: '' }],
  ]
  for (const [method, path, query = {}] of requests) {
    const body = method === 'PUT' || method === 'POST' ? { body: 'x' } : {}
    const answer = await ask(wire, { method, path, query, signer: false, ...body })
    const Message = 'Access Denied'
    wantError(
      t,
      answer,
      403,
      'AccessDenied',
      { Message },
      `${method} ${path} ${Object.keys(query)}`,
    )
  }
  const head = await ask(wire, { method: 'HEAD', path: PATH, signer: false })
  t.equal(head.status, 403)
}

async function overrides(t: Test, wire: Wire): Promise<void> {
  const query = { 'response-content-type': 'text/html' }
  const answer = await ask(wire, { path: PATH, query, signer: false })
  const Message = 'Request specific response headers cannot be used for anonymous GET requests.'
  wantError(t, answer, 400, 'InvalidRequest', { Message })
}
