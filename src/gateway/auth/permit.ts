// Who may do what. The root may do everything; nobody else may do anything yet but ask for CORS.
import type { Identity, Query } from '../call.ts'
import type { OperationName } from '../operation-names.ts'
import { S3Error } from '../s3-error.ts'

/** Throws unless `identity` may do `operation`. */
export function permit(identity: Identity, operation: OperationName, query: Query): void {
  if (identity.kind === 'root' || operation === 'CorsPreflight') return
  refuseOverrides(operation, query)
  throw new S3Error('AccessDenied')
}

function refuseOverrides(operation: OperationName, query: Query): void {
  if (operation !== 'GetObject' && operation !== 'HeadObject') return
  if (!Object.keys(query).some((name) => name.startsWith('response-'))) return
  const message = 'Request specific response headers cannot be used for anonymous GET requests.'
  throw new S3Error('InvalidRequest', {}, { message })
}
