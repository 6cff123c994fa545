// Tags of objects, by header and by document, on versions of their own.
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

const PATH = `/${BUCKET}/tagged`
const TAGGING = { tagging: '' }

t.test('tags', { timeout: 60_000 }, async (t) => {
  await withWire(t, {}, async (wire) => {
    await t.test('pitfall 95: tags that come with the object', async (t) => byHeader(t, wire))
    await t.test('pitfall 95: tags that come later', async (t) => byDocument(t, wire))
    await t.test('pitfall 95: what can not be a tag', async (t) => refuse(t, wire))
    await t.test('pitfall 103: tags of versions and delete markers', async (t) => versions(t, wire))
  })
})

function tagging(...tags: [key: string, value: string][]): string {
  const elements = tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`)
  return `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>${elements.join('')}</TagSet></Tagging>`
}

function setTags(wire: Wire, body: string, path = PATH, query = {}): Promise<Answer> {
  return ask(wire, { method: 'PUT', path, query: { ...TAGGING, ...query }, body })
}

/** The tags as `key=value`. */
async function tagsOf(wire: Wire, path = PATH, query = {}): Promise<string[]> {
  const answer = await ask(wire, { path, query: { ...TAGGING, ...query } })
  if (answer.status !== 200) throw new Error(answer.text)
  const values = elementsOf(answer, 'Value')
  return elementsOf(answer, 'Key').map((key, index) => `${key}=${values[index]}`)
}

async function byHeader(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'x', { 'x-amz-tagging': 'a%20b=c%2Bd&e+f=g%3Dh&%C3%BC=%E6%96%87&alone' })
  t.same(await tagsOf(wire), ['a b=c+d', 'alone=', 'e f=g=h', 'ü=文'], 'in order of their keys')
  for (const method of ['GET', 'HEAD']) {
    const { headers } = await ask(wire, { method, path: PATH })
    t.equal(headers['x-amz-tagging-count'], '4', method)
  }
  await put(wire, PATH, 'x', { 'x-amz-tagging': '' })
  t.same(await tagsOf(wire), [], 'an overwrite has none, and an empty header asks for none')
  t.notOk('x-amz-tagging-count' in (await ask(wire, { path: PATH })).headers)

  const path = `/${BUCKET}/tagged-upload`
  const created = await ask(wire, {
    method: 'POST',
    path,
    query: { uploads: '' },
    headers: { 'x-amz-tagging': 'from=create' },
  })
  const uploadId = elementOf(created, 'UploadId')!
  const part = await ask(wire, {
    method: 'PUT',
    path,
    query: { uploadId, partNumber: '1' },
    body: 'x',
  })
  const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`
  t.equal((await ask(wire, { method: 'POST', path, query: { uploadId }, body })).status, 200)
  t.same(await tagsOf(wire, path), ['from=create'], 'tags of an upload are those of its beginning')
}

async function byDocument(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH)
  const before = await ask(wire, { method: 'HEAD', path: PATH })
  t.same(await tagsOf(wire), [])
  const set = await setTags(wire, tagging(['b', '2'], ['a', ' 1 ']))
  t.equal(set.status, 200)
  t.equal(set.text, '')
  t.notOk('x-amz-version-id' in set.headers, 'nothing is said of versions where there are none')
  t.same(await tagsOf(wire), ['a= 1 ', 'b=2'], 'spaces are kept')
  const after = await ask(wire, { method: 'HEAD', path: PATH })
  for (const name of ['etag', 'last-modified'])
    t.equal(after.headers[name], before.headers[name], `tags do not change ${name}`)
  t.equal(after.headers['x-amz-tagging-count'], '2')
  t.equal((await ask(wire, { path: PATH })).text, 'hello')

  await setTags(wire, '<Tagging><TagSet><Tag><Value/><Key>only</Key></Tag></TagSet></Tagging>')
  t.same(await tagsOf(wire), ['only='], 'the new ones replace the old')
  const cleared = await ask(wire, { method: 'DELETE', path: PATH, query: TAGGING })
  t.equal(cleared.status, 204)
  t.same(await tagsOf(wire), [])
  t.equal((await ask(wire, { method: 'DELETE', path: PATH, query: TAGGING })).status, 204)

  const ten = Array.from({ length: 10 }, (_, index): [string, string] => [`k${index}`, 'v'])
  t.equal((await setTags(wire, tagging(...ten))).status, 200)
  t.equal((await setTags(wire, tagging())).status, 200, 'an empty set removes them')
  t.same(await tagsOf(wire), [])
  await setTags(wire, tagging(...ten))
  t.equal((await setTags(wire, '<Tagging/>')).status, 200, 'and so does none')
  t.same(await tagsOf(wire), [])
}

async function refuse(t: Test, wire: Wire): Promise<void> {
  await put(wire, PATH, 'x', { 'x-amz-tagging': 'kept=yes' })
  const eleven = Array.from({ length: 11 }, (_, index): [string, string] => [`k${index}`, 'v'])
  const long = 'k'.repeat(129)
  const rows: [body: string, code: string, elements: Record<string, string>][] = [
    [tagging(...eleven), 'BadRequest', { Message: 'Object tags cannot be greater than 10' }],
    [tagging(['a', '1'], ['a', '2']), 'InvalidTag', { TagKey: 'a' }],
    [tagging(['', '1']), 'InvalidTag', { Message: 'The TagKey you have provided is invalid' }],
    [tagging([long, '1']), 'InvalidTag', { TagKey: long }],
    [tagging(['a', 'v'.repeat(257)]), 'InvalidTag', { TagKey: 'a', TagValue: 'v'.repeat(257) }],
    [tagging(['a?', '1']), 'InvalidTag', { TagKey: 'a?' }],
    [tagging(['aws:a', '1']), 'InvalidTag', { TagKey: 'aws:a' }],
    ['<Tagging><TagSet/><TagSet/></Tagging>', 'MalformedXML', {}],
    ['<Tagging><TagSet/><Tag><Key>a</Key><Value>1</Value></Tag></Tagging>', 'MalformedXML', {}],
    ['<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>', 'MalformedXML', {}],
    ['', 'MalformedXML', {}],
  ]
  for (const [body, code, elements] of rows)
    wantError(t, await setTags(wire, body), 400, code, elements, body.slice(0, 80))
  const headers: [header: string, code: string][] = [
    ['a=1&a=2', 'InvalidArgument'],
    ['a=%FF', 'InvalidArgument'],
    ['a=%zz', 'InvalidArgument'],
    ['=1', 'InvalidArgument'],
    ['a,b=1', 'InvalidArgument'],
    ['a=b=c', 'InvalidArgument'],
    ['a%2Cb=1', 'InvalidTag'],
    [eleven.map(([key]) => key).join('&'), 'BadRequest'],
  ]
  for (const [header, code] of headers) {
    const wanted = { method: 'PUT', path: PATH, body: 'y', headers: { 'x-amz-tagging': header } }
    wantError(t, await ask(wire, wanted), 400, code, {}, header)
  }
  t.same(await tagsOf(wire), ['kept=yes'])
  t.equal((await ask(wire, { path: PATH })).text, 'x')
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const body = method === 'PUT' ? { body: tagging() } : {}
    const missing = { method, path: `/${BUCKET}/none`, query: TAGGING, ...body }
    wantError(t, await ask(wire, missing), 404, 'NoSuchKey', {}, method)
    const elsewhere = { method, path: '/no-such-bucket/none', query: TAGGING, ...body }
    wantError(t, await ask(wire, elsewhere), 404, 'NoSuchBucket', {}, method)
  }
}

async function versions(t: Test, wire: Wire): Promise<void> {
  const bucket = 'tagged-versions'
  const path = `/${bucket}/a`
  await ask(wire, { method: 'PUT', path: `/${bucket}` })
  const body = '<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>'
  t.equal(
    (await ask(wire, { method: 'PUT', path: `/${bucket}`, query: { versioning: '' }, body }))
      .status,
    200,
  )
  const old = (await put(wire, path, 'old')).headers['x-amz-version-id']!
  const current = (await put(wire, path, 'new')).headers['x-amz-version-id']!
  const set = await setTags(wire, tagging(['of', 'old']), path, { versionId: old })
  t.equal(set.headers['x-amz-version-id'], old)
  t.same(await tagsOf(wire, path, { versionId: old }), ['of=old'])
  t.same(await tagsOf(wire, path), [], 'the current version has its own')
  t.equal((await setTags(wire, tagging(['of', 'new']), path)).headers['x-amz-version-id'], current)
  const shown = await ask(wire, { path, query: TAGGING })
  t.equal(shown.headers['x-amz-version-id'], current)

  const deleted = await ask(wire, { method: 'DELETE', path })
  const marker = deleted.headers['x-amz-version-id']!
  for (const method of ['GET', 'PUT', 'DELETE']) {
    const wanted = { method, path, ...(method === 'PUT' ? { body: tagging(['a', 'b']) } : {}) }
    const hidden = await ask(wire, { ...wanted, query: TAGGING })
    const elements = { Method: method, ResourceType: 'DeleteMarker' }
    wantError(t, hidden, 405, 'MethodNotAllowed', elements, `${method} under a marker`)
    t.equal(hidden.headers['x-amz-delete-marker'], 'true')
    const named = await ask(wire, { ...wanted, query: { ...TAGGING, versionId: marker } })
    wantError(t, named, 405, 'MethodNotAllowed', {}, `${method} of a marker`)
    const bad = await ask(wire, { ...wanted, query: { ...TAGGING, versionId: 'a/b' } })
    wantError(t, bad, 400, 'InvalidArgument', {}, `${method} of no version id`)
  }
  t.same(await tagsOf(wire, path, { versionId: current }), ['of=new'])
  const cleared = await ask(wire, { method: 'DELETE', path, query: { ...TAGGING, versionId: old } })
  t.equal(`${cleared.status} ${cleared.headers['x-amz-version-id']}`, `204 ${old}`)
  t.same(await tagsOf(wire, path, { versionId: old }), [])
}
