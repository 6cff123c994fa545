// The checker of histories: it finds the order that explains one, and no order where there is none.
import fc from 'fast-check'
import t from 'tap'
import { ABSENT, type Action, type Entry, KeyHistory } from './history.ts'

const NEVER = Number.POSITIVE_INFINITY
const NONE = { kind: 'none' } as const

function put(label: string, outcome: 'done' | undefined = 'done'): Action {
  return { kind: 'put', label, condition: NONE, outcome }
}

function createIfAbsent(label: string, outcome: 'done' | 'refused' | undefined): Action {
  return { kind: 'put', label, condition: { kind: 'absent' }, outcome }
}

function read(label: string): Action {
  return { kind: 'read', label }
}

function verdictOf(entries: Entry[], isVersioned = false): string {
  const history = new KeyHistory('key', isVersioned)
  history.entries.push(...entries)
  return history.check().kind
}

/** One after the other. */
function inTurn(...actions: Action[]): Entry[] {
  return actions.map((action, at) => ({ action, begun: 2 * at, ended: 2 * at + 1 }))
}

t.test('what was acknowledged is read until it is overwritten', async (t) => {
  t.equal(verdictOf(inTurn(read(ABSENT), put('a'), read('a'), put('b'), read('b'))), 'explained')
  t.equal(verdictOf(inTurn(put('a'), put('b'), read('a'))), 'unexplained', 'a stale read')
  t.equal(verdictOf(inTurn(put('a'), read(ABSENT))), 'unexplained', 'a lost write')
  const remove: Action = { kind: 'delete', marker: undefined, outcome: 'done' }
  t.equal(verdictOf(inTurn(put('a'), remove, read('a'))), 'unexplained', 'it comes back')
})

t.test('a write without an answer is done once, at any time, or never', async (t) => {
  const open: Entry = { action: put('x', undefined), begun: 0, ended: NEVER }
  const after = (...actions: Action[]): Entry[] => [
    open,
    ...inTurn(...actions).map((entry) => ({
      ...entry,
      begun: entry.begun + 1,
      ended: entry.ended + 1,
    })),
  ]
  t.equal(verdictOf(after(put('a'), read('a'), read('x'))), 'explained')
  t.equal(verdictOf(after(put('a'), read('a'), put('b'), read('b'))), 'explained')
  t.equal(verdictOf(after(put('a'), read('x'), read('a'))), 'unexplained', 'and then undone')
  t.equal(verdictOf(after(read('x'), put('a'), read('x'))), 'unexplained', 'and then again')
  t.equal(verdictOf(after(createIfAbsent('c', 'refused'), read('x'))), 'explained')
})

t.test('one creator wins', async (t) => {
  const racing = (first: 'done' | 'refused', second: 'done' | 'refused'): Entry[] => [
    { action: createIfAbsent('a', first), begun: 0, ended: 9 },
    { action: createIfAbsent('b', second), begun: 1, ended: 8 },
  ]
  t.equal(verdictOf(racing('done', 'refused')), 'explained')
  t.equal(verdictOf(racing('done', 'done')), 'unexplained', 'two winners')
  t.equal(verdictOf(racing('refused', 'refused')), 'unexplained', 'no winner')
})

t.test('the order is found or not as by trying all of them', async (t) => {
  const label = fc.constantFrom('a', 'b', 'c')
  const outcome = fc.constantFrom('done' as const, 'refused' as const, undefined)
  const condition = fc.oneof(
    fc.constant(NONE),
    fc.constant({ kind: 'absent' as const }),
    label.map((of) => ({ kind: 'is' as const, label: of })),
  )
  const action: fc.Arbitrary<Action> = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), label, condition, outcome }),
    fc.record({
      kind: fc.constant('delete' as const),
      marker: fc.constant(undefined),
      outcome: fc.constantFrom('done' as const, undefined),
    }),
    fc.record({
      kind: fc.constant('read' as const),
      label: fc.constantFrom('a', 'b', 'c', ABSENT),
    }),
  )
  const entry = fc.record({ action, begun: fc.nat(12), lasts: fc.nat(6) })
  const counts = { explained: 0, unexplained: 0 }
  fc.assert(
    fc.property(fc.array(entry, { minLength: 2, maxLength: 6 }), (drawn) => {
      const entries = drawn.map(({ action: one, begun, lasts }): Entry => {
        const isOpen = 'outcome' in one && one.outcome === undefined
        return { action: one, begun, ended: isOpen ? NEVER : begun + lasts }
      })
      const wanted = someOrderExplains(entries, undefined) ? 'explained' : 'unexplained'
      counts[wanted] += 1
      return verdictOf(entries) === wanted
    }),
    { numRuns: 4_000 },
  )
  t.ok(counts.explained > 200, `${counts.explained} explained`)
  t.ok(counts.unexplained > 200, `${counts.unexplained} unexplained`)
})

/** Tries every order of every subset that has all that was answered; one key, without versions. */
function someOrderExplains(left: readonly Entry[], state: string | undefined): boolean {
  if (left.every(({ ended }) => ended === NEVER)) return true
  return left.some((entry) => {
    if (left.some((other) => other.ended < entry.begun)) return false
    const after = applied(entry.action, state)
    const rest = left.filter((other) => other !== entry)
    return after !== 'impossible' && someOrderExplains(rest, after.state)
  })
}

function applied(
  action: Action,
  state: string | undefined,
): { state: string | undefined } | 'impossible' {
  if (action.kind === 'read') return (state ?? ABSENT) === action.label ? { state } : 'impossible'
  if (action.kind === 'delete') return { state: undefined }
  if (action.kind !== 'put') throw new Error(`${action.kind} is not tried here`)
  const { condition, outcome, label } = action
  const isMet =
    condition.kind === 'none' ||
    (condition.kind === 'absent' ? state === undefined : state === condition.label)
  if (outcome === undefined) return { state: isMet ? label : state }
  if (isMet !== (outcome === 'done')) return 'impossible'
  return { state: isMet ? label : state }
}
