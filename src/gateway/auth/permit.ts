// Who may do what. The root may do everything; nobody else may do anything yet but ask for CORS, and hand in a form,
// whose fields say who signed it: it is asked for again as a PutObject once they are read.
import type { Identity, Query } from '../call.ts'
import type { OperationName } from '../operation-names.ts'
import { S3Error } from '../s3-error.ts'

/** Throws unless `identity` may do `operation`. `region` is that of the store. */
export function permit(
  identity: Identity,
  operation: OperationName,
  { query, region }: { query: Query; region: string },
): void {
  if (identity.kind === 'root' || operation === 'CorsPreflight' || operation === 'PostObject')
    return
  refuseOverrides(operation, query)
  // Clients without a key find out by HEAD how they have to sign; it says nothing of whether the bucket exists.
  const headers = operation === 'HeadBucket' ? { 'x-amz-bucket-region': region } : {}
  throw new S3Error('AccessDenied', {}, { headers })
}

function refuseOverrides(operation: OperationName, query: Query): void {
  if (operation !== 'GetObject' && operation !== 'HeadObject') return
  if (!Object.keys(query).some((name) => name.startsWith('response-'))) return
  const message = 'Request specific response headers cannot be used for anonymous GET requests.'
  throw new S3Error('InvalidRequest', {}, { message })
}
