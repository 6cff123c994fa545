// What a round of creators may have come to.
import t from 'tap'
import { judgeRound, type Outcome } from './round.ts'

const violations = (outcomes: Outcome[], reads: (number | 'absent')[]): number =>
  judgeRound(outcomes, reads).violations.length

t.test('what may be', async (t) => {
  t.same(judgeRound(['lost', 'won', 'lost'], [1, 1]), { winners: 1, unknown: 0, violations: [] })
  t.equal(violations(['unknown', 'won', 'lost'], [1, 1]), 0)
  t.equal(violations(['unknown', 'lost', 'lost'], [0, 0]), 0, 'who was not answered has won')
  t.equal(violations(['unknown', 'unknown'], ['absent', 'absent']), 0, 'or not')
  t.equal(violations(['unknown', 'unknown'], ['absent', 1]), 0, 'or late')
})

t.test('what must not', async (t) => {
  t.equal(violations(['won', 'won'], [0, 0]), 1, 'two winners')
  t.equal(violations(['lost', 'lost'], ['absent', 'absent']), 2, 'none')
  t.equal(violations(['won', 'lost'], [0, 'absent']), 2, 'it is gone')
  t.ok(violations(['won', 'lost'], [1, 0]) > 0, 'somebody else is read')
  t.equal(violations(['unknown', 'unknown', 'unknown'], [0, 1]), 1, 'two are read')
  t.equal(violations(['lost', 'unknown'], ['absent', 'absent']), 1, 'refused for nothing')
})
