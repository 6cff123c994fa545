// SSE-C: a version encrypted with a key of the client is read only with that key (pitfall 119).
import type { CustomerKey, Encryption, Upload } from '../../../objects/object-store.ts'
import {
  type KeyCarrier,
  parseCustomerKey,
  SOURCE_CUSTOMER_KEY,
} from '../../headers/customer-key-headers.ts'
import { refuseMethod, refuseOtherMethod } from '../../headers/encryption-headers.ts'
import { S3Error } from '../../s3-error.ts'

/** The key of the request when the version needs one. Throws when it is missing, wrong, or not asked for. */
export function customerKeyFor(
  carrier: KeyCarrier,
  encryption: Encryption | undefined,
): CustomerKey | undefined {
  refuseMethod(carrier.headers)
  const given = parseCustomerKey(carrier)
  if (carrier.strict && isOther(given, encryption)) throw incorrect()
  return fitting(given, encryption)
}

/** The same for a part: it needs the key of its upload, and may say again how that is encrypted. */
export function partKeyFor(carrier: KeyCarrier, { encryption }: Upload): CustomerKey | undefined {
  refuseOtherMethod(carrier.headers, encryption)
  const given = parseCustomerKey(carrier)
  if ((given === undefined) === (encryption?.kind === 'SSE-C'))
    throw refused(
      'The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.',
    )
  return fitting(given, encryption)
}

/** The same for the source of a copy. */
export function sourceCustomerKeyFor(
  carrier: KeyCarrier,
  encryption: Encryption | undefined,
): CustomerKey | undefined {
  return fitting(parseCustomerKey(carrier, SOURCE_CUSTOMER_KEY), encryption)
}

/**
 * Complete needs the key only where Create named a checksum algorithm; one that is sent must be that of the upload,
 * while there is one (pitfall 109).
 */
export function refuseOtherKey(carrier: KeyCarrier, upload: Upload | undefined): void {
  const given = parseCustomerKey(carrier)
  if (!upload) return
  refuseOtherMethod(carrier.headers, upload.encryption)
  if (given || upload.checksumAlgorithm) fitting(given, upload.encryption)
}

/** Keys are compared by their MD5: the store has no other trace of the right one. */
function fitting(
  given: CustomerKey | undefined,
  encryption: Encryption | undefined,
): CustomerKey | undefined {
  const wantedMd5 = encryption?.kind === 'SSE-C' ? encryption.keyMd5 : undefined
  if (wantedMd5 === given?.keyMd5) return given
  if (wantedMd5 === undefined)
    throw refused('The encryption parameters are not applicable to this object.')
  if (given)
    throw refused('The provided encryption parameters did not match the ones used originally.')
  throw refused(
    'The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.',
  )
}

/** Whether a key is needed and this is not it. */
function isOther(given: CustomerKey | undefined, encryption: Encryption | undefined): boolean {
  return given !== undefined && encryption?.kind === 'SSE-C' && given.keyMd5 !== encryption.keyMd5
}

function incorrect(): S3Error {
  const message =
    'Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key.'
  return new S3Error('AccessDenied', {}, { message })
}

function refused(message: string): S3Error {
  return new S3Error('InvalidRequest', {}, { message })
}
