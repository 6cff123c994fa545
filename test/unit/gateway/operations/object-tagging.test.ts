// Tags of an object, put, shown and removed (pitfall 95).
import t from 'tap'
import { openGateway, texts } from './fake-call.ts'

const document = (tags: Record<string, string>): string =>
  `<Tagging><TagSet>${Object.entries(tags)
    .map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`)
    .join('')}</TagSet></Tagging>`

t.test('an object without tags has an empty set', async (t) => {
  const { ask } = await openGateway()
  await ask('PutObject', { key: 'a' })
  const { status, text } = await ask('GetObjectTagging', { key: 'a' })
  t.equal(status, 200)
  t.match(text, /<Tagging xmlns="[^"]+"><TagSet><\/TagSet><\/Tagging>$/)
})

t.test('put, shown, counted, removed', async (t) => {
  const { ask } = await openGateway()
  await ask('PutObject', { key: 'a', headers: { 'x-amz-tagging': 'old=yes' } })
  t.equal((await ask('HeadObject', { key: 'a' })).headers['x-amz-tagging-count'], '1')
  t.same(
    await ask('PutObjectTagging', { key: 'a', body: document({ b: '2', 'a&amp;': ' ' }) }).catch(
      ({ code }) => code,
    ),
    'InvalidTag',
  )
  const put = await ask('PutObjectTagging', { key: 'a', body: document({ b: '2', a: ' 1' }) })
  t.same(put, { status: 200, headers: {}, text: '' })
  const { text } = await ask('GetObjectTagging', { key: 'a' })
  t.same(texts(text, 'Key'), ['a', 'b'])
  t.same(texts(text, 'Value'), [' 1', '2'])
  t.equal((await ask('HeadObject', { key: 'a' })).headers['x-amz-tagging-count'], '2')
  t.equal((await ask('DeleteObjectTagging', { key: 'a' })).status, 204)
  t.same(texts((await ask('GetObjectTagging', { key: 'a' })).text, 'Key'), [])
  t.notOk('x-amz-tagging-count' in (await ask('HeadObject', { key: 'a' })).headers)
})

t.test('documents that are none', async (t) => {
  const { ask, refused } = await openGateway()
  await ask('PutObject', { key: 'a' })
  const set = (inner: string) => `<Tagging><TagSet>${inner}</TagSet></Tagging>`
  for (const body of [
    '',
    '<Tags/>',
    '<Tagging><TagSet/><TagSet/></Tagging>',
    set('<Tag><Key>a</Key></Tag>'),
    set('<Tag><Value>a</Value></Tag>'),
    set('<Tag><Key>a</Key><Key>b</Key><Value/></Tag>'),
  ])
    t.match(await refused('PutObjectTagging', { key: 'a', body }), { code: 'MalformedXML' }, body)
})

t.test('the version that is named', async (t) => {
  const { ask, refused, store } = await openGateway()
  await store.changeBucket(store.findBucket('photos')!, { versioning: 'enabled' })
  const old = (await ask('PutObject', { key: 'a' })).headers['x-amz-version-id']!
  const current = (await ask('PutObject', { key: 'a' })).headers['x-amz-version-id']!
  const query = { versionId: old }
  const put = await ask('PutObjectTagging', { key: 'a', query, body: document({ of: 'old' }) })
  t.same(put.headers, { 'x-amz-version-id': old })
  const shown = await ask('GetObjectTagging', { key: 'a', query })
  t.same(texts(shown.text, 'Value'), ['old'])
  t.equal(shown.headers['x-amz-version-id'], old)
  const other = await ask('GetObjectTagging', { key: 'a' })
  t.same(texts(other.text, 'Value'), [])
  t.equal(other.headers['x-amz-version-id'], current)
  for (const operation of ['GetObjectTagging', 'DeleteObjectTagging'] as const) {
    t.match(await refused(operation, { key: 'none' }), { code: 'NoSuchKey' })
    const bad = { key: 'a', query: { versionId: 'a/b' } }
    t.match(await refused(operation, bad), { code: 'InvalidArgument' })
  }
})

t.test('a version that goes while its tags change is missing', async (t) => {
  const { ask, refused, store } = await openGateway()
  await ask('PutObject', { key: 'a' })
  store.edit = async () => ({ kind: 'no-version' })
  t.match(await refused('DeleteObjectTagging', { key: 'a' }), { code: 'NoSuchKey' })
})
