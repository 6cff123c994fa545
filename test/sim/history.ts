// What clients asked and were answered, key by key, and whether one order of all of it explains every answer
// (linearizability, checked as Wing and Gong do, with Lowe's memory of what was tried).

/** A label of what a key holds: an ETag, a delete marker's name, or ABSENT. */
export type Label = string

export const ABSENT: Label = '-'

/** What a write asked for beside writing. */
export type Condition = { kind: 'none' } | { kind: 'absent' } | { kind: 'is'; label: Label }

/** What was done with one key. `outcome` undefined: nobody knows, and nobody ever may. */
export type Action =
  | { kind: 'put'; label: Label; condition: Condition; outcome: 'done' | 'refused' | undefined }
  | { kind: 'delete'; marker: Label | undefined; outcome: 'done' | undefined }
  | { kind: 'delete-version'; label: Label; outcome: 'done' | undefined }
  | { kind: 'read'; label: Label }
  | { kind: 'read-version'; label: Label; isThere: boolean }

/** An action from when it was asked to when it was answered, in ticks; never answered: Infinity. */
export interface Entry {
  action: Action
  begun: number
  ended: number
}

/** What came of looking for an order. */
export type Verdict =
  | { kind: 'explained' }
  | { kind: 'unexplained'; trouble: string }
  /** It takes too long to find out. */
  | { kind: 'undecided' }

/** All entries of one key. */
export class KeyHistory {
  readonly name: string
  readonly isVersioned: boolean
  readonly entries: Entry[] = []

  constructor(name: string, isVersioned: boolean) {
    this.name = name
    this.isVersioned = isVersioned
  }

  /** Whether one order explains the entries. */
  check(): Verdict {
    const entries = [...this.entries].sort((left, right) => left.begun - right.begun)
    const kind = new Search(entries, this.isVersioned).run()
    if (kind !== 'unexplained') return { kind }
    const trouble = `${this.name}: no order explains\n${entries.map(describe).join('\n')}`
    return { kind, trouble }
  }
}

const MOST_STEPS = 200_000

class Search {
  readonly #entries: readonly Entry[]
  readonly #isVersioned: boolean
  readonly #tried = new Set<string>()
  readonly #done: Uint8Array
  #steps = 0

  constructor(entries: readonly Entry[], isVersioned: boolean) {
    this.#entries = entries
    this.#isVersioned = isVersioned
    this.#done = new Uint8Array(entries.length)
  }

  run(): Verdict['kind'] {
    const isExplained = this.#go(0, [], undefined)
    if (this.#steps > MOST_STEPS) return 'undecided'
    return isExplained ? 'explained' : 'unexplained'
  }

  /**
   * `first`: all entries before it are in the order already. `state`: newest version first. `without`: the state before
   * the last entry, when nobody was answered to that: it need not have happened, and may have happened as late as one
   * likes. So where only the newest version counts, it is in the order only right before what it makes possible.
   */
  #go(first: number, state: readonly Label[], without: readonly Label[] | undefined): boolean {
    const entries = this.#entries
    let from = first
    while (from < entries.length && this.#done[from] === 1) from += 1
    this.#steps += 1
    if (this.#steps > MOST_STEPS) return true
    let earliestEnd = Number.POSITIVE_INFINITY
    for (let at = from; at < entries.length; at += 1) {
      if (this.#done[at] === 0) earliestEnd = Math.min(earliestEnd, entries[at]!.ended)
    }
    // What nobody was answered need not have happened.
    if (earliestEnd === Number.POSITIVE_INFINITY) return true
    const name = `${this.#nameOf(from, state)} ${without?.join() ?? '.'}`
    if (this.#tried.has(name)) return false
    for (const at of this.#candidates(from, earliestEnd)) {
      const entry = entries[at]!
      const next = this.#after(entry, state)
      if (next === undefined || (without && this.#isPossible(entry, without))) continue
      this.#done[at] = 1
      const isAnswered = entry.ended < Number.POSITIVE_INFINITY
      if (this.#go(from, next, isAnswered || this.#isVersioned ? undefined : state)) return true
      this.#done[at] = 0
    }
    this.#tried.add(name)
    return false
  }

  /** What may come next: first what was answered, since the rest need not have happened. */
  #candidates(from: number, earliestEnd: number): number[] {
    const answered: number[] = []
    const open: number[] = []
    for (let at = from; at < this.#entries.length; at += 1) {
      const { begun, ended } = this.#entries[at]!
      if (begun > earliestEnd) break
      if (this.#done[at] === 0) (ended < Number.POSITIVE_INFINITY ? answered : open).push(at)
    }
    return [...answered, ...open]
  }

  #isPossible(entry: Entry, state: readonly Label[]): boolean {
    // What it leaves is another thing in every state.
    if (entry.action.kind === 'delete-version') return false
    return this.#after(entry, state) !== undefined
  }

  /** Undefined also where it would have done nothing, and nobody was answered. */
  #after({ action, ended }: Entry, state: readonly Label[]): readonly Label[] | undefined {
    const next = apply(action, state, this.#isVersioned)
    return next === state && ended === Number.POSITIVE_INFINITY ? undefined : next
  }

  #nameOf(from: number, state: readonly Label[]): string {
    let window = ''
    for (let at = from; at < this.#done.length; at += 1) window += this.#done[at]
    return `${from} ${window.replace(/0+$/, '')} ${state.join()}`
  }
}

/** The state after the action; undefined when it can not have been answered so in this state. */
function apply(
  action: Action,
  state: readonly Label[],
  isVersioned: boolean,
): readonly Label[] | undefined {
  const current = currentOf(state)
  switch (action.kind) {
    case 'put': {
      const holds = isMet(action.condition, current)
      if (action.outcome === 'refused') return holds ? undefined : state
      if (!holds) return action.outcome === undefined ? state : undefined
      return isVersioned ? [action.label, ...state] : [action.label]
    }
    case 'delete':
      if (isVersioned) return action.marker === undefined ? state : [action.marker, ...state]
      return []
    case 'delete-version':
      return state.filter((label) => label !== action.label)
    case 'read':
      return current === action.label ? state : undefined
    case 'read-version':
      return state.includes(action.label) === action.isThere ? state : undefined
  }
}

function currentOf([first]: readonly Label[]): Label {
  return first === undefined || first.startsWith('marker') ? ABSENT : first
}

function isMet(condition: Condition, current: Label): boolean {
  if (condition.kind === 'none') return true
  return condition.kind === 'absent' ? current === ABSENT : current === condition.label
}

function describe({ action, begun, ended }: Entry): string {
  return `  ${begun}–${ended} ${JSON.stringify(action)}`
}
