// Who orders entries, and when they are committed.
import t from 'tap'
import { Primary } from '../../../../src/metadata/log/primary.ts'

const LAST = { epoch: 4, sequence: 10 }

t.test('with all: committed is what every voter has', async (t) => {
  const primary = new Primary({ rule: 'all', epoch: 5, last: LAST, voters: ['a', 'b', 'c'] })
  t.same(primary.propose(), { epoch: 5, sequence: 11, prevEpoch: 4, committed: 10 })
  t.same(primary.propose(), { epoch: 5, sequence: 12, prevEpoch: 5, committed: 10 })
  t.equal(primary.acknowledge('a', 12), 10)
  t.equal(primary.acknowledge('b', 11), 10)
  t.equal(primary.acknowledge('c', 11), 11)
  t.equal(primary.acknowledge('nobody', 12), 11)
  t.equal(primary.acknowledge('b', 9), 11, 'what is durable stays durable')
  t.equal(primary.propose().committed, 11)
})

t.test('with all: a voter that left is waited for no more, a new one is', async (t) => {
  const primary = new Primary({ rule: 'all', epoch: 5, last: LAST, voters: ['a', 'b'] })
  primary.propose()
  primary.acknowledge('a', 11)
  t.equal(primary.committed, 10)
  t.equal(primary.adopt(6, new Set(['a'])), 11)
  t.same(primary.propose(), { epoch: 6, sequence: 12, prevEpoch: 5, committed: 11 })
  primary.addVoter('c', 11)
  t.throws(() => primary.addVoter('c', 11))
  t.equal(primary.acknowledge('a', 12), 11)
  t.equal(primary.acknowledge('c', 12), 12)
  t.throws(() => primary.adopt(5, new Set()))
})

t.test('with nobody left nothing is committed', async (t) => {
  const primary = new Primary({ rule: 'all', epoch: 5, last: LAST, voters: ['a'] })
  primary.propose()
  t.equal(primary.adopt(6, new Set()), 10)
})

t.test(
  'with a majority: more than half, and only with an entry of the current epoch',
  async (t) => {
    const primary = new Primary({ rule: 'majority', epoch: 5, last: LAST, voters: ['a', 'b', 'c'] })
    primary.propose()
    t.equal(primary.acknowledge('a', 11), 10)
    primary.adopt(6, new Set(['a', 'b', 'c']))
    t.equal(primary.acknowledge('b', 11), 10, 'an entry of an older epoch waits for a newer one')
    primary.propose()
    t.equal(primary.acknowledge('b', 12), 10)
    t.equal(primary.acknowledge('c', 12), 12)
  },
)
