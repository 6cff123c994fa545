// Forms (115): what a browser sends, and everything that a form may be and that is then refused, with nothing stored.
import { createHash } from 'node:crypto'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import {
  BOUNDARY,
  composeForm,
  type Field,
  policyOf,
  post,
  signedFields,
  signedFieldsV2,
} from './forms.ts'
import {
  type Answer,
  type Ask,
  ask,
  BUCKET,
  collect,
  compose,
  elementOf,
  elementsOf,
  listed,
  openSocket,
  readAnswers,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const MIB = 1024 * 1024
const ANY_KEY = ['starts-with', '$key', '']
// As S3 writes it; not a template of ours.
const FILENAME = '$'.concat('{filename}')

t.test('forms', { timeout: 120_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 115: what is refused leaves nothing', async (t) => refused(t, wire))
    await t.test('pitfall 115: policies', async (t) => policies(t, wire))
    await t.test('pitfall 115: files that are too long or too short', async (t) => lengths(t, wire))
    await t.test('pitfall 115: a body that is no form', async (t) => malformed(t, wire))
    await t.test('pitfall 115: a form is signed, or nobody sent it', async (t) =>
      signatures(t, wire),
    )
    t.same(await listed(wire), [], 'nothing is stored')
    await t.test('pitfall 115: answers', async (t) => answers(t, wire))
    await t.test('pitfall 115: fields are what headers are', async (t) => attributes(t, wire))
    await t.test('pitfall 115: the name of the file', async (t) => filenames(t, wire))
    await t.test('pitfall 115: hosts that are none', async (t) => hosts(t, wire))
    await t.test('pitfall 115: large files', async (t) => largeFiles(t, wire))
    await t.test('pitfall 45: a form waits for 100 Continue', async (t) => waits(t, wire))
    await t.test('forms without a length', async (t) => chunked(t, wire))
    await t.test('forms that nobody has signed yet', async (t) => slowHeads(t, wire))
  })
})

/** The fields of a form that may be sent: the key, what else, the signature, then the file. */
function fieldsOf(key: string, file: string | Uint8Array = 'hello', more: Field[] = []): Field[] {
  const conditions = [ANY_KEY, ...more.map(([name]) => ['starts-with', `$${name}`, ''])]
  return [['key', key], ...more, ...signedFields(conditions), ['file', file, 'a.txt']]
}

function without(fields: readonly Field[], name: string): Field[] {
  return fields.filter(([other]) => other !== name)
}

function get(wire: Wire, key: string, method = 'GET'): Promise<Answer> {
  return ask(wire, { method, path: `/${BUCKET}/${key}` })
}

async function refused(t: Test, wire: Wire): Promise<void> {
  const right = fieldsOf('a')
  const field = (name: string) =>
    `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`
  const cases: [name: string, fields: Field[], status: number, code: string, message?: string][] = [
    ['no key', without(right, 'key'), 400, 'InvalidArgument', field('key')],
    [
      'no signature',
      without(right, 'x-amz-signature'),
      400,
      'InvalidArgument',
      field('X-Amz-Signature'),
    ],
    ['no policy', without(right, 'policy'), 400, 'InvalidArgument', field('policy')],
    [
      'no file',
      without(right, 'file'),
      400,
      'InvalidArgument',
      'POST requires exactly one file upload per request.',
    ],
    [
      'the key after the file',
      [...without(right, 'key'), ['key', 'a']],
      400,
      'InvalidArgument',
      field('key'),
    ],
    [
      'an empty key',
      fieldsOf(''),
      400,
      'InvalidArgument',
      'User key must have a length greater than 0.',
    ],
    ['a key twice', [['key', 'b'], ...right], 400, 'InvalidArgument'],
    ['a long key', fieldsOf('k'.repeat(1025)), 400, 'KeyTooLongError'],
    ['another ACL', fieldsOf('a', 'x', [['acl', 'public-read']]), 501, 'NotImplemented'],
    ['a grant', fieldsOf('a', 'x', [['x-amz-grant-read', 'id=1']]), 501, 'NotImplemented'],
    ['tags that are none', fieldsOf('a', 'x', [['tagging', '<x']]), 400, 'MalformedXML'],
    [
      'a class that is none',
      fieldsOf('a', 'x', [['x-amz-storage-class', 'X']]),
      400,
      'InvalidStorageClass',
    ],
    [
      'a type that no header can have',
      fieldsOf('a', 'x', [['Content-Type', 'a\r\nb: c']]),
      400,
      'InvalidArgument',
    ],
    [
      'a wrong checksum',
      fieldsOf('a', 'x', [['x-amz-checksum-crc32', 'AAAAAA==']]),
      400,
      'BadDigest',
    ],
    [
      'a wrong MD5',
      fieldsOf('a', 'x', [['Content-MD5', '1B2M2Y8AsgTpgAmY7PhCfg==']]),
      400,
      'BadDigest',
    ],
    ['a condition that does not hold', fieldsOf('a', 'x', [['If-Match', '"e"']]), 404, 'NoSuchKey'],
  ]
  for (const [name, fields, status, code, message] of cases) {
    const answer = await ask(wire, post(fields))
    wantError(t, answer, status, code, message === undefined ? {} : { Message: message }, name)
  }
  const elsewhere = await ask(wire, post(fieldsOf('a'), { path: '/no-such-bucket' }))
  wantError(t, elsewhere, 403, 'AccessDenied', {}, 'the policy is for another bucket')
  const md5 = { 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' }
  const { headers } = post([])
  const claimed = await ask(wire, post(right, { headers: { ...headers, ...md5 } }))
  wantError(t, claimed, 501, 'NotImplemented', { Header: 'content-md5' }, 'a digest of the form')
}

async function policies(t: Test, wire: Wire): Promise<void> {
  const file: Field = ['file', 'hello', 'a.txt']
  const send = (conditions: unknown[], fields: Field[], expiresMs?: number) =>
    ask(wire, post([...fields, ...signedFields(conditions, expiresMs ? { expiresMs } : {}), file]))
  const cases: [name: string, answer: Promise<Answer>, message: string][] = [
    ['expired', send([ANY_KEY], [['key', 'a']], Date.now() - 1000), 'Policy expired.'],
    [
      'another key',
      send([{ key: 'b' }], [['key', 'a']]),
      'Policy Condition failed: ["eq", "$key", "b"]',
    ],
    [
      'a key that begins otherwise',
      send([['starts-with', '$key', 'b/']], [['key', 'a']]),
      'Policy Condition failed: ["starts-with", "$key", "b/"]',
    ],
    [
      'a field that is asked for and missing',
      send([ANY_KEY, ['starts-with', '$x-amz-meta-a', 'b']], [['key', 'a']]),
      'Policy Condition failed: ["starts-with", "$x-amz-meta-a", "b"]',
    ],
    [
      'a field that nobody asked for',
      send(
        [ANY_KEY],
        [
          ['key', 'a'],
          ['x-amz-meta-b', '1'],
        ],
      ),
      'Extra input fields: x-amz-meta-b',
    ],
  ]
  for (const [name, answer, why] of cases) {
    const Message = `Invalid according to Policy: ${why}`
    wantError(t, await answer, 403, 'AccessDenied', { Message }, name)
  }
  const anything = await send([ANY_KEY, ['starts-with', '$x-amz-meta-a', '']], [['key', 'a']])
  t.equal(anything.status, 204, 'a field that may begin with anything may be missing')
  const checksum: Field = ['x-amz-checksum-crc32', 'NhCmhg==']
  const checked = await send([ANY_KEY], [['key', 'a'], checksum])
  t.equal(checked.status, 204, 'a checksum needs no condition')
  t.equal((await ask(wire, { method: 'DELETE', path: `/${BUCKET}/a` })).status, 204)
  const range = await send([ANY_KEY, ['content-length-range', 0]], [['key', 'a']])
  wantError(t, range, 400, 'InvalidPolicyDocument', {}, 'a policy that is none')
}

async function lengths(t: Test, wire: Wire): Promise<void> {
  const send = (min: number, max: number, bytes: number) => {
    const signed = signedFields([ANY_KEY, ['content-length-range', min, max]])
    return ask(wire, post([['key', 'a'], ...signed, ['file', Buffer.alloc(bytes), 'a']]))
  }
  const large = await send(0, 4, 5)
  wantError(t, large, 400, 'EntityTooLarge', { ProposedSize: '5', MaxSizeAllowed: '4' })
  const small = await send(6, 9, 5)
  wantError(t, small, 400, 'EntityTooSmall', { ProposedSize: '5', MinSizeAllowed: '6' })
  wantError(t, await send(0, 9 * MIB, 10 * MIB), 400, 'EntityTooLarge', {}, 'a long one')
  wantError(t, await send(0, 100, 10 * MIB), 400, 'EntityTooLarge', {}, 'before all of it has come')
  wantError(t, await send(11 * MIB, 99 * MIB, 10 * MIB), 400, 'EntityTooSmall', {}, 'likewise')
}

async function malformed(t: Test, wire: Wire): Promise<void> {
  const type = (value: string) => ({ headers: { 'content-type': value } })
  const right = fieldsOf('a')
  const cases: [name: string, wanted: Ask, code: string][] = [
    ['no boundary', post(right, type('multipart/form-data')), 'MalformedPOSTRequest'],
    [
      'another boundary',
      post(right, type('multipart/form-data; boundary=other')),
      'MalformedPOSTRequest',
    ],
    ['an empty body', post([], { body: '' }), 'MalformedPOSTRequest'],
    ['no end', post([], { body: composeForm(right, '') }), 'MalformedPOSTRequest'],
    [
      'too much before the file',
      post([['x-ignore-a', 'a'.repeat(70_000)], ...right]),
      'MaxPostPreDataLengthExceededError',
    ],
  ]
  for (const [name, wanted, code] of cases)
    wantError(t, await ask(wire, wanted), 400, code, {}, name)
  const other = await ask(wire, post(right, type('application/x-www-form-urlencoded')))
  wantError(t, other, 412, 'PreconditionFailed', {}, 'a form of another kind')
  const body = composeForm(right)
  const short = await ask(wire, post([], { body: body.subarray(0, -50), length: body.length }), {
    end: true,
  })
  wantError(t, short, 400, 'IncompleteBody', {}, 'cut off')
}

async function signatures(t: Test, wire: Wire): Promise<void> {
  const file: Field = ['file', 'hello', 'a.txt']
  const key: Field = ['key', 'a']
  const anonymous = await ask(wire, post([key, file]))
  wantError(t, anonymous, 403, 'AccessDenied', { Message: 'Access Denied' }, 'nobody')
  const unsigned = await ask(wire, post([key, ['policy', policyOf([ANY_KEY])], file]))
  wantError(t, unsigned, 403, 'AccessDenied', { Message: 'Access Denied' }, 'a policy alone')
  const signer = (given: object) => post([key, ...signedFields([ANY_KEY], given), file])
  wantError(t, await ask(wire, signer({ secretAccessKey: 'x' })), 403, 'SignatureDoesNotMatch', {
    StringToSign: true,
    SignatureProvided: true,
  })
  wantError(t, await ask(wire, signer({ accessKeyId: 'NOBODY' })), 403, 'InvalidAccessKeyId')
  const forged = without(signedFields([ANY_KEY]), 'policy')
  const other: Field = [
    'policy',
    policyOf([{ bucket: BUCKET }, ANY_KEY, ['starts-with', '$acl', '']]),
  ]
  wantError(
    t,
    await ask(wire, post([key, other, ...forged, file])),
    403,
    'SignatureDoesNotMatch',
    {},
    'another policy',
  )
  const wrongV2 = post([key, ...signedFieldsV2([ANY_KEY], 'x'), file])
  wantError(t, await ask(wire, wrongV2), 403, 'SignatureDoesNotMatch', {}, 'version 2')
}

async function answers(t: Test, wire: Wire): Promise<void> {
  const etag = '"5d41402abc4b2a76b9719d911017c592"'
  const plain = await ask(wire, post(fieldsOf('a b/é')))
  t.equal(plain.status, 204)
  t.equal(plain.text, '')
  t.equal(plain.headers.etag, etag)
  t.equal(plain.headers.location, `http://${wire.host}/${BUCKET}/a%20b/%C3%A9`)
  t.equal(plain.headers['x-amz-checksum-crc64nvme'], 'M3eFcAZSQlc=')
  t.equal((await get(wire, 'a%20b/%C3%A9')).text, 'hello')

  const status = (value: string) =>
    ask(wire, post(fieldsOf('s', 'hello', [['success_action_status', value]])))
  t.equal((await status('200')).status, 200)
  t.equal((await status('404')).status, 204, 'others are 204')
  const created = await status('201')
  t.equal(created.status, 201)
  t.equal(created.headers['content-type'], 'application/xml')
  t.notMatch(created.text, 'xmlns')
  for (const [element, wanted] of [
    ['Location', `http://${wire.host}/${BUCKET}/s`],
    ['Bucket', BUCKET],
    ['Key', 's'],
    ['ETag', etag],
  ] as const)
    t.equal(elementOf(created, element), wanted, element)

  const query = `bucket=${BUCKET}&key=r%26%20&etag=%225d41402abc4b2a76b9719d911017c592%22`
  for (const name of ['success_action_redirect', 'redirect']) {
    const target = 'http://example.com/done?a=1#top'
    const answer = await ask(wire, post(fieldsOf('r& ', 'hello', [[name, target]])))
    t.equal(answer.status, 303, name)
    t.equal(answer.headers.location, `http://example.com/done?a=1&${query}#top`)
  }
  const endless = `http://${'一'.repeat(4090)}/`
  for (const target of ['nowhere', 'javascript:alert(1)', endless]) {
    const answer = await ask(wire, post(fieldsOf('r', 'hello', [['redirect', target]])))
    t.equal(answer.status, 204, `${target} is no place to go`)
  }
  const v2 = await ask(
    wire,
    post([['key', 'v2'], ...signedFieldsV2([ANY_KEY]), ['file', 'two', 'f']]),
  )
  t.equal(v2.status, 204, 'version 2')
  const host = `${BUCKET}.localhost:${wire.port}`
  const virtual = await ask(wire, post(fieldsOf('vh'), { path: '/', host }))
  t.equal(virtual.status, 204, 'virtual host')
  const byRoot = await ask(
    wire,
    post(
      [
        ['key', 'root'],
        ['file', 'x', 'f'],
      ],
      { signer: {} },
    ),
  )
  t.equal(byRoot.status, 204, 'who signs the request needs no policy')
  const noName = composeForm([['key', 'n'], ...signedFields([ANY_KEY]), ['file', 'text']])
  t.equal((await ask(wire, post([], { body: noName }))).status, 204, 'a file without a name')
}

async function attributes(t: Test, wire: Wire): Promise<void> {
  const fields: Field[] = [
    ['acl', 'private'],
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Cache-Control', 'max-age=60'],
    ['Content-Disposition', 'attachment'],
    ['Content-Encoding', 'identity'],
    ['Expires', 'Thu, 01 Dec 2044 16:00:00 GMT'],
    ['X-Amz-Meta-Colour', 'blü'],
    ['X-Amz-Meta-Words', 'a =?UTF-8?B?YWJj?= =?UTF-8?Q?b?='],
    ['x-amz-storage-class', 'STANDARD_IA'],
    ['x-amz-checksum-sha256', createHash('sha256').update('hello').digest('base64')],
    ['Content-MD5', createHash('md5').update('hello').digest('base64')],
    [
      'tagging',
      '<Tagging><TagSet><Tag><Key>a b</Key><Value>1&amp;2</Value></Tag></TagSet></Tagging>',
    ],
    ['x-ignore-me', 'whatever'],
  ]
  const tags = fields.map(
    (field): Field =>
      field[0] === 'tagging' ? ['tagging', field[1].toString().replace('&amp;', '=')] : field,
  )
  const answer = await ask(wire, post(fieldsOf('attributes', 'hello', tags)))
  t.equal(answer.status, 204, answer.text)
  const { headers } = await ask(wire, {
    ...{ method: 'HEAD', path: `/${BUCKET}/attributes` },
    headers: { 'x-amz-checksum-mode': 'ENABLED' },
  })
  t.match(headers, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'max-age=60',
    'content-disposition': 'attachment',
    'content-encoding': 'identity',
    expires: 'Thu, 01 Dec 2044 16:00:00 GMT',
    'x-amz-meta-colour': `=?UTF-8?B?${Buffer.from('blü').toString('base64')}?=`,
    'x-amz-meta-words': 'a =?UTF-8?B?YWJj?= =?UTF-8?Q?b?=',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-checksum-sha256': fields[9]![1],
    'x-amz-tagging-count': '1',
  })
  const tagging = await ask(wire, { path: `/${BUCKET}/attributes`, query: { tagging: '' } })
  t.same([elementsOf(tagging, 'Key'), elementsOf(tagging, 'Value')], [['a b'], ['1=2']])
  const bare = await ask(wire, post(fieldsOf('bare')))
  t.equal(bare.status, 204)
  t.equal(
    (await get(wire, 'bare')).headers['content-type'],
    'binary/octet-stream',
    'not that of the part',
  )
  const again = await ask(wire, post(fieldsOf('bare', 'other', [['If-None-Match', '*']])))
  wantError(t, again, 412, 'PreconditionFailed', { Condition: 'If-None-Match' })

  const name = 'x-amz-server-side-encryption-customer-key'
  const key = await ask(wire, post(fieldsOf('bare', 'other', [[name, 'not\u0001told']])))
  wantError(t, key, 400, 'InvalidArgument', { ArgumentName: name })
  t.notMatch(key.text, /told/, 'a key of a client is not repeated')
  t.equal((await get(wire, 'bare')).text, 'hello')
}

async function filenames(t: Test, wire: Wire): Promise<void> {
  const conditions = [['starts-with', '$key', 'user/']]
  const send = (filename?: string) => {
    const file: Field = filename === undefined ? ['file', 'x'] : ['file', 'x', filename]
    return ask(wire, post([['key', `user/${FILENAME}`], ...signedFields(conditions), file]))
  }
  t.equal((await send('C:\\photos\\me.jpg')).status, 204)
  t.equal((await send('é.txt')).status, 204)
  t.equal((await send("a$$b$&$`$'.txt")).status, 204)
  t.same(await listed(wire, 'user/'), ["user/a$$b$&$`$'.txt", 'user/me.jpg', 'user/é.txt'])
  t.equal((await send()).status, 204)
  t.equal((await send('')).status, 204)
  const nameless = await listed(wire, 'user/')
  t.ok(nameless.includes(`user/${FILENAME}`), 'a file without a name leaves the key as it is')
  t.ok(nameless.includes('user/'), 'an empty name is one')

  const many = `user/${'a'.repeat(15_000)}${FILENAME.repeat(500)}`
  const file: Field = ['file', 'x', '$`'.repeat(9_000)]
  const bomb = await ask(wire, post([['key', many], ...signedFields(conditions), file]))
  wantError(t, bomb, 400, 'KeyTooLongError')
}

async function hosts(t: Test, wire: Wire): Promise<void> {
  const send = (host: string) => {
    const fields = fieldsOf('host', 'x', [['success_action_status', '201']])
    // Nobody signs the host of a form.
    return ask(wire, post(fields, { host: Buffer.from(host).toString('latin1') }))
  }
  const own = `http://127.0.0.1:${wire.port}/${BUCKET}/host`
  t.equal(
    (await send('files.example:80')).headers.location,
    `http://files.example:80/${BUCKET}/host`,
  )
  for (const host of ['日本.example', '"><b>', 'a b'])
    t.equal((await send(host)).headers.location, own, host)
}

async function slowHeads(t: Test, wire: Wire): Promise<void> {
  // One more than may be open before it is known who signed them.
  const sockets = Array.from({ length: 65 }, () => openSocket(wire))
  const refused = Promise.race(sockets.map((socket) => readOne(socket)))
  const started = compose(wire, post([], { body: `--${BOUNDARY}\r\n`, length: 100_000 }))
  for (const socket of sockets) socket.write(started)
  t.match(await refused, /^HTTP\/1\.1 503 .*<Code>SlowDown</s)
  t.equal((await ask(wire, { path: `/${BUCKET}` })).status, 200, 'all else goes on')
  for (const socket of sockets) socket.destroy()
  let answer = await ask(wire, post(fieldsOf('after')))
  for (let more = 0; answer.status === 503 && more < 1_000; more += 1)
    answer = await ask(wire, post(fieldsOf('after')))
  t.equal(answer.status, 204, 'once they are gone forms are taken again')
}

function readOne(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (part: Buffer) => {
      text += part.toString()
      if (text.includes('</Error>')) resolve(text)
    })
  })
}

async function largeFiles(t: Test, wire: Wire): Promise<void> {
  const bytes = Buffer.alloc(9 * MIB + 3, 'abc\r\n--')
  const md5 = createHash('md5').update(bytes).digest('hex')
  const answer = await ask(wire, post(fieldsOf('large', bytes)))
  t.equal(answer.status, 204, answer.text)
  t.equal(answer.headers.etag, `"${md5}"`)
  const stored = await get(wire, 'large')
  t.equal(createHash('md5').update(stored.body).digest('hex'), md5)

  const fits = Buffer.alloc(8 * MIB - 2_000, 'x')
  const more: Field[] = [
    ['submit', 'Upload'],
    ['x', 'y'],
  ]
  const followed = await ask(wire, post([...fieldsOf('eight', fits), ...more]))
  t.equal(followed.status, 204, 'in a form of up to 8 MiB fields may follow')
  t.equal((await get(wire, 'eight', 'HEAD')).headers['content-length'], String(fits.length))

  const late = await ask(wire, post([...fieldsOf('late', bytes), ...more]))
  wantError(t, late, 400, 'MalformedPOSTRequest', {}, 'a longer one must come last')
  const body = composeForm(fieldsOf('late', bytes), `--${BOUNDARY}--`)
  const bare = await ask(wire, post([], { body }))
  wantError(t, bare, 400, 'MalformedPOSTRequest', {}, 'and its form must end with a line break')
  t.same(await listed(wire, 'late'), [])
}

async function waits(t: Test, wire: Wire): Promise<void> {
  const socket = openSocket(wire)
  const closed = collect(socket)
  const body = composeForm(fieldsOf('continued'))
  const head = post([], { headers: { ...post([]).headers, expect: '100-continue' } })
  socket.write(compose(wire, { ...head, body: '', length: body.length }))
  await new Promise((resolve) => socket.once('data', resolve))
  socket.write(body)
  const stream = await closed
  t.ok(stream.toString('latin1').startsWith('HTTP/1.1 100 '))
  const [answer] = readAnswers(stream, ['POST'])
  t.equal(answer?.status, 204)
}

async function chunked(t: Test, wire: Wire): Promise<void> {
  const send = (file: Uint8Array) => {
    const body = composeForm(fieldsOf('chunked', file))
    const framed = [`${body.length.toString(16)}\r\n`, body, '\r\n0\r\n\r\n'].map((part) =>
      Buffer.from(part),
    )
    const headers = { ...post([]).headers, 'transfer-encoding': 'chunked' }
    return ask(wire, post([], { headers, body: Buffer.concat(framed), length: false }))
  }
  t.equal((await send(Buffer.from('hello'))).status, 204)
  t.equal((await get(wire, 'chunked')).text, 'hello')
  wantError(t, await send(Buffer.alloc(9 * MIB)), 411, 'MissingContentLength')
}
