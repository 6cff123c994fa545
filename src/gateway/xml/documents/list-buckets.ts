// The answer of ListBuckets.
import type { Bucket } from '../../../objects/object-store.ts'
import { bucketArn } from '../../reply.ts'
import { ownerElement } from '../owner.ts'
import { container, document, element, optionalElement, xmlTime } from '../write.ts'

/** One page of buckets. */
export interface BucketListing {
  buckets: Bucket[]
  prefix: string | undefined
  continuationToken: string | undefined
}

/** Root ListAllMyBucketsResult; Buckets is there when it is empty, a token or prefix only when there is one. */
export function listBucketsDocument(listing: BucketListing): string {
  return document(
    'ListAllMyBucketsResult',
    ownerElement() +
      container('Buckets', listing.buckets.map(bucketElement).join('')) +
      optionalElement('ContinuationToken', listing.continuationToken) +
      optionalElement('Prefix', listing.prefix),
  )
}

function bucketElement(bucket: Bucket): string {
  return container(
    'Bucket',
    element('Name', bucket.name) +
      element('CreationDate', xmlTime(bucket.createdMs)) +
      element('BucketRegion', bucket.region) +
      element('BucketArn', bucketArn(bucket.name)),
  )
}
