// The document of bucket encryption: read, and written as it was read.
import t from 'tap'
import { bucketEncryptionDocument } from '../../../../src/gateway/xml/documents/bucket-encryption.ts'
import { readBucketEncryption } from '../../../../src/gateway/xml/requests/bucket-encryption.ts'

function bodyOf(rule: string): string {
  return `<ServerSideEncryptionConfiguration><Rule>${rule}</Rule></ServerSideEncryptionConfiguration>`
}

function methodOf(method: string, more = ''): string {
  const by = 'ApplyServerSideEncryptionByDefault'
  return `<${by}><SSEAlgorithm>${method}</SSEAlgorithm>${more}</${by}>`
}

const KEY_ID = '<KMSMasterKeyID>photos</KMSMasterKeyID>'
const BLOCKED = (type: string): string =>
  `<BlockedEncryptionTypes><EncryptionType>${type}</EncryptionType></BlockedEncryptionTypes>`

t.test('what a rule says', async (t) => {
  const rows: [rule: string, wanted: object][] = [
    [methodOf('AES256'), { kind: 'SSE-S3' }],
    [methodOf('aws:kms'), { kind: 'SSE-KMS' }],
    [methodOf('aws:kms', KEY_ID), { kind: 'SSE-KMS', keyId: 'photos' }],
    [
      `${methodOf('AES256')}<BucketKeyEnabled>true</BucketKeyEnabled>`,
      { kind: 'SSE-S3', bucketKey: true },
    ],
    [methodOf('AES256') + BLOCKED('SSE-C'), { kind: 'SSE-S3', blocksCustomerKeys: true }],
    [methodOf('AES256') + BLOCKED('NONE'), { kind: 'SSE-S3' }],
    [BLOCKED('SSE-C'), { kind: 'SSE-S3', blocksCustomerKeys: true }],
  ]
  for (const [rule, wanted] of rows) {
    const read = readBucketEncryption(bodyOf(rule))
    t.same(read, wanted, rule)
    const again = readBucketEncryption(bucketEncryptionDocument(read))
    t.match(again, wanted, 'it is written as it was read')
  }
})

t.test('what is refused', async (t) => {
  const rows: [text: string, code: string][] = [
    ['<ServerSideEncryptionConfiguration/>', 'MalformedXML'],
    [bodyOf(`${methodOf('AES256')}</Rule><Rule>${methodOf('AES256')}`), 'MalformedXML'],
    [bodyOf(methodOf('AES128')), 'MalformedXML'],
    [bodyOf(methodOf('AES256', KEY_ID)), 'InvalidArgument'],
    [bodyOf(methodOf('aws:kms:dsse')), 'NotImplemented'],
    [bodyOf(`${methodOf('AES256')}<BucketKeyEnabled>yes</BucketKeyEnabled>`), 'MalformedXML'],
    [bodyOf(BLOCKED('SSE-KMS')), 'MalformedXML'],
    [bodyOf('<BlockedEncryptionTypes><Type>SSE-C</Type></BlockedEncryptionTypes>'), 'MalformedXML'],
    [bodyOf(`${methodOf('AES256')}<Enforced>true</Enforced>`), 'MalformedXML'],
    [bodyOf(methodOf('AES256', '<KeyId>photos</KeyId>')), 'MalformedXML'],
  ]
  for (const [text, code] of rows) t.throws(() => readBucketEncryption(text), { code }, text)
})
