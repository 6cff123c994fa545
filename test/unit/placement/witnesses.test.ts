// Whether a node is silent is what most of the others say that can tell, and so is whether it answers again.
import t from 'tap'
import { type HeardNode, judge, type Testimony } from '../../../src/placement/witnesses.ts'

const SILENT_MS = 900_000
const AWAY_MS = 3_000

const well = (nodeId: string): HeardNode => ({ nodeId, silentMs: 0, hasAnswered: true })
const gone = (nodeId: string): HeardNode => ({ nodeId, silentMs: SILENT_MS, hasAnswered: true })
const late = (nodeId: string): HeardNode => ({ nodeId, silentMs: 10_000, hasAnswered: true })
/** Who says so has begun to ask lately. */
const unknown = (nodeId: string): HeardNode => ({ nodeId, silentMs: 10_000, hasAnswered: false })

const says = (by: string, ...heard: HeardNode[]): Testimony => ({ by, heard })

function verdictOf(nodeCount: number, ...testimonies: Testimony[]) {
  return judge({ testimonies, nodeCount, awayMs: AWAY_MS, silentMs: SILENT_MS })
}

t.test(
  'one cut link makes no node silent, and no node that is away one that answers',
  async (t) => {
    const cut = verdictOf(4, says('a', gone('x')), says('b', well('x')), says('c', well('x')))
    t.notOk(cut.isSilent('x'))
    t.ok(cut.answers('x'))
    const dead = verdictOf(4, says('a', well('x')), says('b', gone('x')), says('c', gone('x')))
    t.ok(dead.isSilent('x'), 'although who asks hears it')
    t.notOk(dead.answers('x'))
  },
)

t.test('of two minds: neither silent nor answering', async (t) => {
  const half = verdictOf(3, says('a', gone('x')), says('b', well('x')))
  t.notOk(half.isSilent('x'))
  t.notOk(half.answers('x'))
})

t.test('who was heard less than so long ago is not silent', async (t) => {
  const soon = verdictOf(4, says('a', gone('x')), says('b', late('x')), says('c', late('x')))
  t.notOk(soon.isSilent('x'))
  t.notOk(soon.answers('x'))
})

t.test('who has begun to ask lately can not tell', async (t) => {
  const fresh = [says('c', unknown('x')), says('d', unknown('x')), says('e')]
  const dead = verdictOf(6, says('a', gone('x')), says('b', gone('x')), ...fresh)
  t.ok(dead.isSilent('x'))
  const nobody = verdictOf(6, ...fresh)
  t.notOk(nobody.isSilent('x') || nobody.answers('x'))
})

t.test('the word of one is not enough to give a node up, where there are others', async (t) => {
  t.notOk(verdictOf(3, says('a', gone('x'))).isSilent('x'))
  t.ok(verdictOf(2, says('a', gone('x'))).isSilent('x'), 'nobody else could tell')
  t.ok(verdictOf(3, says('a', well('x'))).answers('x'), 'to be there is seen by one')
})

t.test('a node says nothing of itself', async (t) => {
  const verdict = verdictOf(3, says('x', well('x')), says('a', gone('x')), says('b', gone('x')))
  t.ok(verdict.isSilent('x'))
  t.notOk(verdict.answers('x'))
})
