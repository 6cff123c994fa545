// All garbage of a partition, whenever it is due, page by page.
import type { Garbage, Queries } from '../../metadata/contract.ts'

/** Of at most `pageRows` each; the last one may have none. Throws when the partition can not be asked. */
export async function* garbagePages(
  partition: Pick<Queries, 'dueGarbage'>,
  pageRows: number,
): AsyncGenerator<readonly Garbage[]> {
  let last: Garbage | undefined
  do {
    const page = await partition.dueGarbage(Number.MAX_SAFE_INTEGER - 1, pageRows, last)
    yield page
    last = page.length === pageRows ? page.at(-1) : undefined
  } while (last)
}
