// What an object keeps beside its bytes: user metadata, headers, storage class; and how HTTP shows it.
import t, { type Test } from 'tap'
import {
  type Answer,
  ask,
  BUCKET,
  elementOf,
  elementsOf,
  put,
  type Wire,
  wantError,
  withWire,
} from './wire.ts'

const PATH = `/${BUCKET}/described`

t.test('metadata', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 92: 2 KiB of user metadata', async (t) => userMetadata(t, wire))
    await t.test('pitfall 93: metadata that is not ASCII', async (t) => words(t, wire))
    await t.test('pitfall 94: headers come back as they were sent', async (t) => verbatim(t, wire))
    await t.test('pitfall 94: redirects', async (t) => redirects(t, wire))
    await t.test('pitfall 120: storage classes', async (t) => storageClasses(t, wire))
  })
})

function head(wire: Wire, path = PATH): Promise<Answer> {
  return ask(wire, { method: 'HEAD', path })
}

async function userMetadata(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'x', { 'x-amz-meta-name': 'v'.repeat(2044) })
  t.equal((await head(wire)).headers['x-amz-meta-name']?.length, 2044)
  const sizes: [headers: Record<string, string>, size: number][] = [
    [{ 'x-amz-meta-name': 'v'.repeat(2045) }, 2049],
    [{ 'x-amz-meta-a': 'v'.repeat(1024), 'x-amz-meta-b': 'v'.repeat(1024) }, 2050],
    [{ 'x-amz-meta-name': Buffer.from('ü'.repeat(1023)).toString('latin1') }, 2050],
  ]
  for (const [headers, size] of sizes) {
    const answer = await ask(wire, { method: 'PUT', path: PATH, body: 'y', headers })
    const elements = { Size: String(size), MaxSizeAllowed: '2048' }
    wantError(t, answer, 400, 'MetadataTooLarge', elements, `${size} bytes`)
  }
  t.equal((await ask(wire, { path: PATH })).text, 'x', 'a refused write changes nothing')

  const twice: [string, string][] = [
    ['X-Amz-Meta-Camel_Case', 'kept'],
    ['x-amz-meta-twice', 'one,two'],
    ['x-amz-meta-spaces', '  a  b  '],
    ['x-amz-meta-empty', ''],
  ]
  const wanted = {
    method: 'PUT',
    path: PATH,
    body: 'x',
    headers: twice.map(([name, value]): [string, string] => [name.toLowerCase(), value]),
  }
  t.equal((await ask(wire, wanted)).status, 200)
  const { headers } = await head(wire)
  t.equal(headers['x-amz-meta-camel_case'], 'kept')
  t.equal(headers['x-amz-meta-twice'], 'one,two')
  t.equal(headers['x-amz-meta-spaces'], 'a  b')
  t.equal(headers['x-amz-meta-empty'], '')
}

async function words(t: Test, wire: Wire): Promise<void> {
  const word = '=?UTF-8?B?WsO8cmljaA==?='
  const city = Buffer.from('Zürich').toString('latin1')
  await put(wire, PATH, 'x', { 'x-amz-meta-city': city, 'x-amz-meta-plain': 'a b' })
  t.equal((await head(wire)).headers['x-amz-meta-city'], word)
  t.equal((await head(wire)).headers['x-amz-meta-plain'], 'a b')
  for (const sent of [word, '=?utf-8?Q?Z=C3=BCrich?=', '=?ISO-8859-1?Q?Z=FCrich?=']) {
    await put(wire, PATH, 'x', { 'x-amz-meta-city': sent })
    t.equal((await head(wire)).headers['x-amz-meta-city'], word, sent)
  }
  await put(wire, PATH, 'x', { 'x-amz-meta-ascii': '=?UTF-8?Q?a=20b?=', 'x-amz-meta-odd': '=?x?=' })
  t.equal((await head(wire)).headers['x-amz-meta-ascii'], 'a b')
  t.equal((await head(wire)).headers['x-amz-meta-odd'], '=?x?=')
  const broken = '=?UTF-8?Q?a=0D=0Ax-amz-meta-forged:_yes?='
  await put(wire, PATH, 'x', { 'x-amz-meta-broken': broken, 'x-amz-meta-shown': 'yes' })
  const { headers } = await head(wire)
  t.notOk('x-amz-missing-meta' in headers)
  t.equal(headers['x-amz-meta-shown'], 'yes')
  t.equal(
    headers['x-amz-meta-broken'],
    '=?UTF-8?B?YQ0KeC1hbXotbWV0YS1mb3JnZWQ6IHllcw==?=',
    'control characters are shown in a word',
  )
  t.notOk('x-amz-meta-forged' in headers)
}

async function verbatim(t: Test, wire: Wire): Promise<void> {
  const sent = {
    'cache-control': 'no-cache , max-age=0',
    'content-disposition': 'attachment; filename="a b.txt"',
    'content-encoding': 'gzip, br',
    'content-language': 'de,en',
    'content-type': 'text/plain; charset=UTF-16',
    expires: 'not a date',
    'x-amz-website-redirect-location': '/elsewhere?a=b',
  }
  await put(wire, PATH, 'x', sent)
  const uploaded = `/${BUCKET}/described-upload`
  await upload(wire, uploaded, sent)
  for (const path of [PATH, uploaded])
    for (const method of ['GET', 'HEAD']) {
      const { headers } = await ask(wire, { method, path })
      for (const [name, value] of Object.entries(sent))
        t.equal(headers[name], value, `${method} ${path} ${name}`)
    }
}

/** An object of one part whose headers came with its beginning. */
async function upload(wire: Wire, path: string, headers: Record<string, string>): Promise<void> {
  const created = await ask(wire, { method: 'POST', path, query: { uploads: '' }, headers })
  const uploadId = elementOf(created, 'UploadId')!
  const query = { uploadId, partNumber: '1' }
  const { headers: answered } = await ask(wire, { method: 'PUT', path, query, body: 'x' })
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${answered.etag}</ETag></Part></CompleteMultipartUpload>`
  const done = await ask(wire, { method: 'POST', path, query: { uploadId }, body })
  if (done.status !== 200) throw new Error(done.text)
}

async function redirects(t: Test, wire: Wire): Promise<void> {
  const redirect = (location: string): Promise<Answer> =>
    ask(wire, {
      method: 'PUT',
      path: PATH,
      body: 'x',
      headers: { 'x-amz-website-redirect-location': location },
    })
  for (const location of ['/a', 'http://a.example/', 'https://a.example/b'])
    t.equal((await redirect(location)).status, 200, location)
  for (const location of ['a', 'ftp://a.example/', `/${'x'.repeat(2048)}`])
    wantError(
      t,
      await redirect(location),
      400,
      'InvalidRedirectLocation',
      {},
      location.slice(0, 20),
    )
}

async function storageClasses(t: Test, wire: Wire): Promise<void> {
  for (const storageClass of ['STANDARD_IA', 'GLACIER_IR', 'REDUCED_REDUNDANCY', 'SNOW']) {
    await put(wire, PATH, 'x', { 'x-amz-storage-class': storageClass })
    t.equal((await head(wire)).headers['x-amz-storage-class'], storageClass)
    const listing = await ask(wire, {
      path: `/${BUCKET}`,
      query: { 'list-type': '2', prefix: 'described' },
    })
    t.equal(elementsOf(listing, 'StorageClass')[0], storageClass)
  }
  await put(wire, PATH, 'x', { 'x-amz-storage-class': 'STANDARD' })
  t.notOk('x-amz-storage-class' in (await head(wire)).headers, 'STANDARD is not shown')
  for (const storageClass of ['FAST', 'standard'])
    for (const wanted of [
      { method: 'PUT', path: PATH, body: 'y' },
      { method: 'POST', path: PATH, query: { uploads: '' } },
    ]) {
      const answer = await ask(wire, {
        ...wanted,
        headers: { 'x-amz-storage-class': storageClass },
      })
      const elements = { StorageClassRequested: storageClass }
      wantError(t, answer, 400, 'InvalidStorageClass', elements)
    }
}
