// What a replica accepts and refuses.
import t from 'tap'
import { acceptAppend } from '../../../../src/metadata/log/replica.ts'

const state = { promisedEpoch: 4, last: { epoch: 3, sequence: 7 } }

t.test('appends', async (t) => {
  const next = { epoch: 4, sequence: 8, prevEpoch: 3, committed: 7 }
  t.same(acceptAppend(state, next), {
    kind: 'accepted',
    state: { promisedEpoch: 4, last: { epoch: 4, sequence: 8 } },
  })
  t.same(acceptAppend(state, { ...next, epoch: 3 }), { kind: 'stale', promisedEpoch: 4 })
  t.same(acceptAppend(state, { ...next, sequence: 9 }), { kind: 'gap', last: state.last })
  t.same(acceptAppend(state, { ...next, prevEpoch: 2 }), { kind: 'gap', last: state.last })
})
