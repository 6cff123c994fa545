// Data keys of encrypted objects: made for a new one, unwrapped for one that is there. Keys of clients pass through
// and are never kept.
import { unwrapForCustomer, wrapForCustomer } from '../encryption/customer-key.ts'
import {
  KEY_BYTES,
  type KeyProvider,
  type KeyRequest,
  type MadeDataKey,
} from '../encryption/key-provider.ts'
import { unreachable } from '../kit/assert.ts'
import type { World } from '../kit/world.ts'
import type { Encryption } from '../metadata/records.ts'
import type { Bucket, CustomerKey, EncryptionRequest } from './object-store.ts'

/** The key that a client named is none: the gateway answers KMS.NotFoundException. */
class NoSuchKey extends Error {
  override readonly name = 'NoSuchKey'
  readonly code = 'NO_SUCH_KEY'
}

/** The key of a client is missing, or not the one that the bytes were encrypted with. */
class CustomerKeyWrong extends Error {
  override readonly name = 'CustomerKeyWrong'
  readonly code = 'CUSTOMER_KEY_WRONG'
}

/** What encrypts the bytes of an object or upload, and what its row says of that. */
export interface Sealing {
  encryption: Encryption
  dataKey: Uint8Array
}

/** What makes and opens data keys. */
interface KeyParts {
  keys: KeyProvider
  world: Pick<World, 'random'>
}

/** A new data key for something in the bucket, wrapped as `request` wants it. Throws NoSuchKey. */
export async function newSealing(
  request: EncryptionRequest,
  { id }: Pick<Bucket, 'id'>,
  parts: KeyParts,
): Promise<Sealing> {
  switch (request.kind) {
    case 'SSE-S3': {
      const { dataKey, wrappedKey } = await makeKey({}, parts)
      return { encryption: { kind: 'SSE-S3', wrappedKey }, dataKey }
    }
    case 'SSE-KMS': {
      const { kind, ...named } = request
      const shared = named.bucketKey ? { shared: `bucket ${id}` } : {}
      const { dataKey, wrappedKey, keyId } = await makeKey({ ...named, ...shared }, parts)
      return { encryption: { kind, ...named, wrappedKey, keyId }, dataKey }
    }
    case 'SSE-C': {
      const { key, keyMd5 } = request.customerKey
      const dataKey = parts.world.random.bytes(KEY_BYTES)
      const wrappedKey = wrapForCustomer(dataKey, key, parts.world.random.bytes(KEY_BYTES))
      return { encryption: { kind: 'SSE-C', wrappedKey, keyMd5 }, dataKey }
    }
    default:
      return unreachable(request)
  }
}

/**
 * The data key of what is encrypted already. `customerKey` is that of SSE-C: its MD5 was compared, but perhaps with what
 * was there before. Throws CustomerKeyWrong, and what the provider throws.
 */
export async function openSealing(
  encryption: Encryption,
  customerKey: CustomerKey | undefined,
  { keys }: Pick<KeyParts, 'keys'>,
): Promise<Sealing> {
  const { wrappedKey } = encryption
  if (encryption.kind !== 'SSE-C')
    return { encryption, dataKey: await keys.unwrap(wrappedKey, contextOf(encryption)) }
  const { key } = requireKey(customerKey)
  try {
    return { encryption, dataKey: unwrapForCustomer(wrappedKey, key) }
  } catch (cause) {
    throw new CustomerKeyWrong('the bytes have another key', { cause })
  }
}

/** Asks for a new version to be encrypted as the one before. */
export function likeBefore(
  encryption: Encryption,
  customerKey: CustomerKey | undefined,
): EncryptionRequest {
  if (encryption.kind === 'SSE-S3') return { kind: 'SSE-S3' }
  if (encryption.kind === 'SSE-KMS') {
    const { wrappedKey: _, ...request } = encryption
    return request
  }
  return { kind: 'SSE-C', customerKey: requireKey(customerKey) }
}

function requireKey(customerKey: CustomerKey | undefined): CustomerKey {
  if (customerKey) return customerKey
  throw new CustomerKeyWrong('the bytes have a key of their client')
}

async function makeKey(request: KeyRequest, { keys }: KeyParts): Promise<MadeDataKey> {
  const made = await keys.newDataKey(request)
  if (made.kind === 'made') return made
  throw new NoSuchKey(`Key '${made.keyId}' does not exist`)
}

function contextOf(encryption: Encryption): { context?: string } {
  const context = encryption.kind === 'SSE-KMS' ? encryption.context : undefined
  return context === undefined ? {} : { context }
}
