// Headers that ask for what is not there yet are refused by name; harmless ones that clients send pass.
import t from 'tap'
import { refuseHeaders } from '../../../../src/gateway/headers/refused-headers.ts'

t.test('refused with the name of the header', async (t) => {
  const refused: [name: string, value: string][] = [
    ['x-amz-acl', 'public-read'],
    ['x-amz-acl', 'bucket-owner-read'],
    ['x-amz-grant-read', 'id="x"'],
    ['x-amz-object-lock-event-hold', 'ON'],
    ['x-amz-object-lock-event-hold-duration-days', '1'],
    ['x-amz-object-lock-event-hold-duration-years', '1'],
    ['x-amz-object-ownership', 'ObjectWriter'],
    ['x-amz-write-offset-bytes', '10'],
  ]
  for (const [name, value] of refused) {
    const expected = { code: 'NotImplemented', status: 501, elements: { Header: name } }
    t.throws(() => refuseHeaders({ [name]: value }), expected, `${name}: ${value}`)
  }
})

t.test('no word of S3', async (t) => {
  for (const name of ['x-amz-acl', 'x-amz-object-ownership', 'x-amz-bucket-namespace']) {
    const elements = { ArgumentName: name, ArgumentValue: 'shared' }
    const expected = { code: 'InvalidArgument', status: 400, elements }
    t.throws(() => refuseHeaders({ [name]: 'shared' }), expected, name)
  }
})

t.test('an empty ownership is no word', async (t) => {
  t.throws(() => refuseHeaders({ 'x-amz-object-ownership': '' }), {
    code: 'InvalidArgument',
    message: /^Invalid x-amz-object-ownership header: $/,
    elements: { ArgumentName: 'x-amz-object-ownership', ArgumentValue: '' },
  })
})

t.test('accepted', async () => {
  refuseHeaders({
    'x-amz-acl': 'private',
    'x-amz-grant-read': '',
    'x-amz-object-lock-event-hold': 'OFF',
    'x-amz-object-ownership': 'BucketOwnerEnforced',
    'x-amz-api-version': '2006-03-01',
    'amz-sdk-request': 'attempt=1',
    'x-amz-storage-class': 'GLACIER',
    'x-amz-meta-acl': 'public-read',
    'x-amz-request-payer': 'requester',
    'server-side-encryption': 'no',
  })
  refuseHeaders({ 'x-amz-acl': 'bucket-owner-full-control' })
})
