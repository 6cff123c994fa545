// forget-garbage: the shards of some blobs are gone from every drive, so their garbage rows may go too.
import { garbageKey } from '../rows/keys.ts'
import type { Rule } from './decision.ts'

/** Removes the rows without a look at them: done again it changes nothing, so it writes no answer row. */
export const forgetGarbage: Rule<'forget-garbage'> = {
  async decide({ items }) {
    const batch = items.map(({ dueMs, uid }) => ({ key: garbageKey(dueMs, uid), value: undefined }))
    return { kind: 'answer', batch, answer: { kind: 'done' } }
  },
}
