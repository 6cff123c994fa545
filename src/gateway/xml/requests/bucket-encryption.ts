// The body of PutBucketEncryption: one rule, for all objects that do not say themselves how they are encrypted.
import type { BucketEncryption } from '../../../objects/object-store.ts'
import { S3Error } from '../../s3-error.ts'
import { childrenOf, malformed, readXml, refuseOthers, textOf, type XmlElement } from '../read.ts'

const RULE_ELEMENTS = [
  'ApplyServerSideEncryptionByDefault',
  'BucketKeyEnabled',
  'BlockedEncryptionTypes',
]

/** Throws MalformedXML unless it has one rule, NotImplemented for DSSE and FSx, InvalidArgument for a key id without KMS. */
export function readBucketEncryption(text: string): BucketEncryption {
  const root = readXml(text, 'ServerSideEncryptionConfiguration')
  refuseOthers(root, ['Rule'])
  const [rule, second] = childrenOf(root, 'Rule')
  if (!rule || second) throw malformed()
  refuseOthers(rule, RULE_ELEMENTS)
  const bucketKey = readBucketKey(rule)
  return {
    ...readMethod(rule),
    ...(bucketKey === undefined ? {} : { bucketKey }),
    ...(blocksCustomerKeys(rule) ? { blocksCustomerKeys: true } : {}),
  }
}

/** A rule that names no method means that of S3 itself. */
function readMethod(rule: XmlElement): Pick<BucketEncryption, 'kind' | 'keyId'> {
  const [usual, second] = childrenOf(rule, 'ApplyServerSideEncryptionByDefault')
  if (second) throw malformed()
  if (usual) refuseOthers(usual, ['SSEAlgorithm', 'KMSMasterKeyID'])
  const method = usual ? trimmed(usual, 'SSEAlgorithm') : 'AES256'
  const keyId = usual && trimmed(usual, 'KMSMasterKeyID')
  switch (method) {
    case 'AES256':
      if (keyId !== undefined) throw keyWithoutKms()
      return { kind: 'SSE-S3' }
    case 'aws:kms':
      return { kind: 'SSE-KMS', ...(keyId === undefined ? {} : { keyId }) }
    case 'aws:kms:dsse':
    case 'aws:fsx':
      throw new S3Error('NotImplemented', { AdditionalMessage: `SSEAlgorithm ${method}` })
    default:
      throw malformed()
  }
}

function readBucketKey(rule: XmlElement): boolean | undefined {
  const text = trimmed(rule, 'BucketKeyEnabled')
  if (text === undefined) return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  throw malformed()
}

/** NONE alone lifts what was blocked. */
function blocksCustomerKeys(rule: XmlElement): boolean {
  const blocked = childrenOf(rule, 'BlockedEncryptionTypes')
  for (const list of blocked) refuseOthers(list, ['EncryptionType'])
  const types = blocked
    .flatMap((list) => childrenOf(list, 'EncryptionType'))
    .map(({ text }) => text.trim())
  if (types.some((type) => type !== 'SSE-C' && type !== 'NONE')) throw malformed()
  return types.includes('SSE-C')
}

function keyWithoutKms(): S3Error {
  return new S3Error(
    'InvalidArgument',
    { ArgumentName: 'ApplyServerSideEncryptionByDefault' },
    {
      message:
        'a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse',
    },
  )
}

function trimmed(parent: XmlElement, name: string): string | undefined {
  return textOf(parent, name)?.trim() || undefined
}
