// One page of objects. A page of nothing is complete: there would be nothing to go on from (pitfall 82).
import type { ListedObject, ListPage, ListRequest } from '../../../objects/object-store.ts'
import type { Call } from '../../call.ts'

/** Asks the store, unless `limit` is 0. */
export async function listPage(
  { objects }: Call,
  request: ListRequest,
): Promise<ListPage<ListedObject>> {
  if (request.limit === 0) return { entries: [], last: undefined }
  return await objects.list(request)
}
