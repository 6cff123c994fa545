// A shard as the key of a map. Made once for each record that is entered: to put it together and to hash it costs more than to
// look it up.
import type { ShardId } from '../contract.ts'

/** No other shard has it. */
export function nameOf({ uid, part, slot }: ShardId): string {
  return `${uid}.${part}.${slot}`
}
