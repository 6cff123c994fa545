// The judge of what clients saw: it takes what may be, and finds what must not.
import t from 'tap'
import { figuresOf, judge, parseRequests, type Request } from './history.ts'

type Part = Partial<Request> & Pick<Request, 'kind'>

/** Requests one after another, each of 10 µs, unless they say otherwise. */
function story(...parts: readonly Part[]): Request[] {
  return parts.map((part, at) => ({
    ...{ key: 'g0/a', outcome: 'done' as const, begun: 100 * at, ended: 100 * at + 10 },
    ...part,
  }))
}

const put = (label: string, rest: Partial<Request> = {}): Part => ({ kind: 'put', label, ...rest })
const get = (label: string | null, rest: Partial<Request> = {}): Part => ({
  kind: 'get',
  label,
  ...rest,
})

function violationsOf(...parts: readonly Part[]): number {
  return judge(story(...parts)).violations.length
}

t.test('what may be', async (t) => {
  t.equal(violationsOf(put('1'), get('1'), put('2'), get('2'), { kind: 'delete' }, get(null)), 0)
  t.equal(violationsOf(put('1', { ended: 500 }), get(null), get('1')), 0, 'a write under way')
  const unknown = put('1', { outcome: 'failed' })
  t.equal(violationsOf(unknown, get(null), get(null)), 0, 'it never happened')
  t.equal(violationsOf(unknown, get(null), get('1'), get('1')), 0, 'it happened later')
  t.equal(violationsOf(put('1'), get(null, { outcome: 'failed' })), 0, 'nobody knows')
  const list: Part = { kind: 'list', key: 'g0/', labels: { 'g0/a': '1' } }
  t.equal(violationsOf(put('1'), list), 0)
  t.equal(violationsOf({ kind: 'list', key: 'g0/', labels: {} }, put('1'), list), 0)
})

t.test('what must not', async (t) => {
  t.equal(violationsOf(put('1'), get(null)), 1, 'what was acknowledged is gone')
  t.equal(violationsOf(put('1'), put('2'), get('1')), 1, 'an old value')
  t.equal(violationsOf(put('1'), put('2', { ended: 900 }), get('2'), get('1')), 1, 'back again')
  t.equal(violationsOf(put('1'), { kind: 'delete' }, get('1')), 1, 'what was deleted')
  t.equal(violationsOf(get('9')), 1, 'what nobody wrote')
  t.equal(violationsOf(get('1', { outcome: 'wrong' })), 1, 'other bytes')
  const unknown = put('1', { outcome: 'failed' })
  t.equal(violationsOf(unknown, get('1'), get(null)), 1, 'it happened and was lost')
})

t.test('conditions', async (t) => {
  const absent = { condition: { kind: 'absent' } as const }
  const is = (label: string) => ({ condition: { kind: 'is', label } as const })
  t.equal(violationsOf(put('1', absent), put('2', { ...absent, outcome: 'refused' }), get('1')), 0)
  t.equal(violationsOf(put('1', absent), put('2', absent)), 1, 'two winners')
  t.equal(violationsOf(put('1', { ...absent, outcome: 'refused' })), 1, 'refused for nothing')
  t.equal(violationsOf(put('1'), put('2', is('1')), put('3', is('1'))), 1, 'a lost update')
  const late = put('1', { ...absent, outcome: 'failed' })
  t.equal(violationsOf(late, put('2', absent), get('2')), 0, 'one winner')
  t.equal(violationsOf(late, put('2', absent), get('1')), 1, 'a winner after the winner')
})

t.test('lists are reads of all their keys', async (t) => {
  const list = (labels: Record<string, string>): Part => ({ kind: 'list', key: 'g0/', labels })
  const other = put('2', { key: 'g0/b' })
  t.equal(violationsOf(put('1'), other, list({ 'g0/a': '1', 'g0/b': '2' })), 0)
  t.equal(violationsOf(put('1'), other, list({ 'g0/b': '2' })), 1, 'one is missing')
  t.equal(violationsOf(put('1'), { kind: 'delete' }, list({ 'g0/a': '1' })), 1, 'one too many')
  t.equal(violationsOf(put('1'), put('2'), list({ 'g0/a': '1' })), 1, 'an old one')
  t.equal(violationsOf(put('1'), put('3', { key: 'g1/a' }), list({ 'g0/a': '1' })), 0)
})

t.test('the figures of a time', async (t) => {
  const requests = story(put('1'), put('2', { outcome: 'failed', why: '503' }), get('1'))
  t.same(figuresOf(requests, 0, 1_000_000), {
    ...{ done: 2, refused: 1, longestWithoutSuccess: 0.99979, slowest: 0.00001, why: ['503'] },
  })
  t.same(figuresOf(requests, 50, 150).done, 0, 'those that ended in it')
  t.same(parseRequests(`${requests.map((one) => JSON.stringify(one)).join('\n')}\n`), requests)
})
