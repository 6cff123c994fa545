// Operations on buckets (pitfalls 12, 13, 120).
import t from 'tap'
import { openGateway, texts } from './fake-call.ts'

const configuration = (region: string) =>
  `<CreateBucketConfiguration><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`

t.test('a bucket is made, found, and deleted', async (t) => {
  const { ask, refused } = await openGateway()
  const created = await ask('CreateBucket', { bucket: 'new' })
  t.equal(created.status, 200)
  t.equal(created.headers.location, '/new')
  t.equal(created.headers['x-amz-bucket-arn'], 'arn:aws:s3:::new')
  const head = await ask('HeadBucket', { bucket: 'new' })
  t.match(head.headers, {
    'content-type': 'application/xml',
    'x-amz-bucket-arn': 'arn:aws:s3:::new',
    'x-amz-bucket-region': 'us-east-1',
  })
  t.equal((await ask('DeleteBucket', { bucket: 'new' })).status, 204)
  const error = await refused('HeadBucket', { bucket: 'new' })
  t.match(error, { code: 'NoSuchBucket', elements: { BucketName: 'new' } })
  t.match(await refused('DeleteBucket', { bucket: 'new' }), { code: 'NoSuchBucket' })
})

t.test('creating it again: 200 in us-east-1, 409 elsewhere (pitfall 12)', async (t) => {
  t.equal((await (await openGateway()).ask('CreateBucket')).status, 200)
  const error = await (await openGateway('local')).refused('CreateBucket')
  t.match(error, { code: 'BucketAlreadyOwnedByYou', status: 409 })
})

t.test('the region is the one that the client names', async (t) => {
  const { ask, refused } = await openGateway()
  await ask('CreateBucket', { bucket: 'far', body: configuration('eu-west-1') })
  t.match((await ask('GetBucketLocation', { bucket: 'far' })).text, />eu-west-1</)
  t.equal((await ask('HeadBucket', { bucket: 'far' })).headers['x-amz-bucket-region'], 'eu-west-1')
  const bad = await refused('CreateBucket', { bucket: 'bad', body: configuration('a b') })
  t.match(bad, { code: 'InvalidLocationConstraint', elements: { LocationConstraint: 'a b' } })
  t.match(await refused('CreateBucket', { bucket: 'bad', body: '<x' }), { code: 'MalformedXML' })
})

t.test('us-east-1 has no name (pitfall 13)', async (t) => {
  const { text } = await (await openGateway()).ask('GetBucketLocation')
  t.match(text, /<LocationConstraint xmlns="[^"]+"><\/LocationConstraint>$/)
})

t.test('settings of a new bucket are honoured or refused', async (t) => {
  const { ask, refused, store } = await openGateway()
  for (const asked of [
    { headers: { 'x-amz-acl': 'public-read' } },
    { headers: { 'x-amz-object-ownership': 'ObjectWriter' } },
    { body: '<CreateBucketConfiguration><Tags/></CreateBucketConfiguration>' },
    { body: '<CreateBucketConfiguration><Bucket/></CreateBucketConfiguration>' },
  ])
    t.match(await refused('CreateBucket', { bucket: 'new', ...asked }), { code: 'NotImplemented' })
  const unknown = '<CreateBucketConfiguration><Color>red</Color></CreateBucketConfiguration>'
  t.match(await refused('CreateBucket', { bucket: 'new', body: unknown }), { code: 'MalformedXML' })
  t.equal(store.findBucket('new'), undefined)
  t.equal((await ask('CreateBucket', { headers: { 'x-amz-acl': 'private' } })).status, 200)
})

t.test('a bucket with objects is not deleted', async (t) => {
  const { ask, refused } = await openGateway()
  await ask('PutObject', { key: 'a' })
  t.match(await refused('DeleteBucket'), {
    code: 'BucketNotEmpty',
    elements: { BucketName: 'photos' },
  })
})

t.test('another owner is expected (pitfall 120)', async (t) => {
  const { refused } = await openGateway()
  const headers = { 'x-amz-expected-bucket-owner': '123456789012' }
  for (const operation of ['HeadBucket', 'DeleteBucket', 'ListObjectsV2', 'GetBucketCors'] as const)
    t.match(await refused(operation, { headers }), { code: 'AccessDenied', status: 403 }, operation)
})

t.test('an owner that can be nobody is expected', async (t) => {
  const { refused } = await openGateway()
  const code = 'InvalidBucketOwnerAWSAccountID'
  for (const nobody of ['', 'root', '12345678901']) {
    const headers = { 'x-amz-expected-bucket-owner': nobody }
    const message = `The value of the expected bucket owner parameter must be an AWS Account ID... [${nobody}]`
    const wanted = { code, status: 400, message }
    t.match(await refused('HeadBucket', { headers, strict: true }), wanted, nobody)
    const usual = await refused('HeadBucket', { headers })
    t.equal(usual.code, nobody === '' ? code : 'AccessDenied', nobody)
  }
})

t.test('ListBuckets in pages, by prefix and by region', async (t) => {
  const { ask, refused, store } = await openGateway()
  for (const name of ['b-2', 'a', 'b-1']) await store.createBucket(name, 'eu-west-1')
  const all = await ask('ListBuckets')
  t.same(texts(all.text, 'Name'), ['a', 'b-1', 'b-2', 'photos'])
  t.match(all.text, /<BucketRegion>eu-west-1<\/BucketRegion><BucketArn>arn:aws:s3:::a<\/BucketArn>/)
  t.equal(texts(all.text, 'CreationDate')[0], '2026-11-20T12:00:00.000Z')
  t.match(all.text, /<Owner><ID>[0-9a-f]{64}<\/ID><DisplayName>root</)
  t.notMatch(all.text, /ContinuationToken|<Prefix>/)
  const first = await ask('ListBuckets', { query: { 'max-buckets': '3' } })
  const [token = ''] = texts(first.text, 'ContinuationToken')
  const query = { 'max-buckets': '3', 'continuation-token': token }
  const second = await ask('ListBuckets', { query })
  t.same(texts(second.text, 'Name'), ['photos'])
  t.notMatch(second.text, /ContinuationToken/)
  const prefixed = await ask('ListBuckets', { query: { prefix: 'b-' } })
  t.same(texts(prefixed.text, 'Name'), ['b-1', 'b-2'])
  t.same(texts(prefixed.text, 'Prefix'), ['b-'])
  const regional = await ask('ListBuckets', { query: { 'bucket-region': 'us-east-1' } })
  t.same(texts(regional.text, 'Name'), ['photos'])
  for (const bad of [
    { 'max-buckets': '0' },
    { 'max-buckets': '10001' },
    { 'continuation-token': 'x' },
  ])
    t.match(await refused('ListBuckets', { query: bad }), { code: 'InvalidArgument' })
})
