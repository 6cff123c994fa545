// What the clients of load.py were answered, held against what S3 promises: one order of everything that was done with a key
// explains all answers (a list is a read of each of its keys), and no byte is wrong.
import { ABSENT, type Action, type Condition, KeyHistory } from '../../sim/history.ts'

/** One request, as load.py tells it. Times in microseconds. */
export interface Request {
  kind: 'put' | 'get' | 'delete' | 'list'
  /** Of a list: the prefix. */
  key: string
  /** `refused`: its condition did not hold. `failed`: nobody knows what was done. `wrong`: bytes that nobody wrote. */
  outcome: 'done' | 'refused' | 'failed' | 'wrong'
  begun: number
  ended: number
  /** What was put, or what was found; null: nothing. */
  label?: string | null
  condition?: Condition
  /** What a list has, by key. */
  labels?: Record<string, string>
  why?: string
  /** Of one that failed: the client asked again by itself, and what it was answered then is another line. */
  isCured?: boolean
}

/** What was found out. */
export interface Judgement {
  requests: number
  keys: number
  /** What must never be, in sentences. */
  violations: string[]
  /** Keys that it takes too long to find out about. */
  undecided: string[]
}

/** The requests in a file of load.py. */
export function parseRequests(text: string): Request[] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Request)
}

/** Holds the requests against each other. */
export function judge(requests: readonly Request[]): Judgement {
  const violations = requests.filter(({ outcome }) => outcome === 'wrong').map(sayWrong)
  const undecided: string[] = []
  const histories = historiesOf(requests)
  for (const history of histories.values()) {
    const verdict = history.check()
    if (verdict.kind === 'unexplained') violations.push(verdict.trouble)
    if (verdict.kind === 'undecided') undecided.push(history.name)
  }
  return { requests: requests.length, keys: histories.size, violations, undecided }
}

function historiesOf(requests: readonly Request[]): Map<string, KeyHistory> {
  const histories = new Map<string, KeyHistory>()
  const known = requests.filter(({ kind }) => kind !== 'list').map(({ key }) => key)
  for (const key of known) if (!histories.has(key)) histories.set(key, new KeyHistory(key, false))
  for (const request of requests) {
    const { begun, ended, outcome } = request
    for (const [key, action] of actionsOf(request, histories)) {
      const end = outcome === 'failed' ? Number.POSITIVE_INFINITY : ended
      histories.get(key)!.entries.push({ action, begun, ended: end })
    }
  }
  return histories
}

/** What was done with which keys. A read that failed says nothing. */
function actionsOf(
  request: Request,
  histories: ReadonlyMap<string, KeyHistory>,
): [key: string, action: Action][] {
  const { kind, key, outcome, label, condition = { kind: 'none' }, labels = {} } = request
  if (outcome === 'wrong') return []
  const known = outcome === 'failed' ? undefined : outcome
  if (kind === 'put') {
    return [[key, { kind: 'put', label: label ?? ABSENT, condition, outcome: known }]]
  }
  if (kind === 'delete') {
    const isDone = outcome === 'done' ? 'done' : undefined
    return [[key, { kind: 'delete', marker: undefined, outcome: isDone }]]
  }
  if (outcome !== 'done') return []
  if (kind === 'get') return [[key, { kind: 'read', label: label ?? ABSENT }]]
  const listed = [...histories.keys()].filter((name) => name.startsWith(key))
  return listed.map((name) => [name, { kind: 'read', label: labels[name] ?? ABSENT }])
}

function sayWrong({ kind, key, begun, why }: Request): string {
  return `${kind} of ${key} at ${begun}: ${why ?? 'not what was asked for'}`
}

/** What came of the requests that ended in a time. */
export interface Figures {
  done: number
  /** Failed: the client has to ask again. */
  refused: number
  /** In seconds. */
  longestWithoutSuccess: number
  slowest: number
  /** What was said of those that failed, each once. */
  why: string[]
}

/** Figures of the time from `from` to `to`, in microseconds. */
export function figuresOf(requests: readonly Request[], from: number, to: number): Figures {
  const ended = requests.filter(({ ended }) => ended >= from && ended <= to)
  const failed = ended.filter(({ outcome }) => outcome === 'failed')
  const good = ended.filter(({ outcome }) => outcome !== 'failed').map((one) => one.ended)
  const times = [from, ...good.sort((left, right) => left - right), to]
  const gaps = times.slice(1).map((time, at) => time - times[at]!)
  return {
    done: good.length,
    refused: failed.length,
    longestWithoutSuccess: Math.max(...gaps) / 1e6,
    slowest: Math.max(0, ...ended.map((one) => one.ended - one.begun)) / 1e6,
    why: [...new Set(failed.map(({ why = '' }) => why))],
  }
}
