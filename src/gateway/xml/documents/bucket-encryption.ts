// The answer of GetBucketEncryption.
import type { BucketEncryption } from '../../../objects/object-store.ts'
import { container, document, element, optionalElement } from '../write.ts'

/** Root ServerSideEncryptionConfiguration with one Rule; BucketKeyEnabled is always said, `false` where nobody set it. */
export function bucketEncryptionDocument({
  kind,
  keyId,
  bucketKey = false,
  blocksCustomerKeys,
}: BucketEncryption): string {
  const method =
    element('SSEAlgorithm', kind === 'SSE-S3' ? 'AES256' : 'aws:kms') +
    optionalElement('KMSMasterKeyID', keyId)
  const rule =
    container('ApplyServerSideEncryptionByDefault', method) +
    element('BucketKeyEnabled', bucketKey) +
    (blocksCustomerKeys
      ? container('BlockedEncryptionTypes', element('EncryptionType', 'SSE-C'))
      : '')
  return document('ServerSideEncryptionConfiguration', container('Rule', rule))
}
