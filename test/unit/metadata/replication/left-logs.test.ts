// What logs lead on to when those who kept them can not be asked: what a majority acknowledged is there whenever most logs are, whatever else lies
// beside them, and what was replaced is never put in the place of anything.
import fc from 'fast-check'
import t from 'tap'
import type { EntryHead } from '../../../../src/metadata/log/entry.ts'
import { follows } from '../../../../src/metadata/log/entry.ts'
import { type LeftLog, leadOn } from '../../../../src/metadata/replication/left-logs.ts'
import { comparePositions } from '../../../../src/metadata/replication/log-tail.ts'

const BEGINNING = { epoch: 0, sequence: 0 }

/** Entries of these epochs, one after the other from the sequence `first` on. */
function chain(
  first: number,
  before: number,
  epochs: readonly number[],
  committed = 0,
): EntryHead[] {
  return epochs.map((epoch, at) => ({
    ...{ epoch, sequence: first + at, prevEpoch: epochs[at - 1] ?? before },
    committed,
  }))
}

const whole = (entries: readonly EntryHead[]): LeftLog<EntryHead> => ({ isWhole: true, entries })
const torn = (entries: readonly EntryHead[]): LeftLog<EntryHead> => ({ isWhole: false, entries })

function pathOf(logs: readonly LeftLog<EntryHead>[], from = BEGINNING): string {
  const { entries } = leadOn(from, logs)
  return entries.map(({ epoch, sequence }) => `${epoch}/${sequence}`).join(' ')
}

t.test('the latest epoch, then the longest, as a primary chooses', async (t) => {
  t.equal(pathOf([]), '')
  t.equal(pathOf([whole(chain(1, 0, [1, 1, 1]))]), '1/1 1/2 1/3')
  const [long, late] = [whole(chain(1, 0, [1, 1, 1, 1])), whole(chain(1, 0, [1, 1, 2]))]
  t.equal(pathOf([long, late]), '1/1 1/2 2/3')
  t.equal(pathOf([late, long]), '1/1 1/2 2/3')
  t.equal(pathOf([late, whole(chain(1, 0, [1, 1, 2, 2]))]), '1/1 1/2 2/3 2/4')
})

t.test('what leads on may stand in several logs', async (t) => {
  const entries = chain(1, 0, [1, 1, 1, 2, 2])
  const [start, end] = [torn(entries.slice(0, 2)), torn(entries.slice(2))]
  t.equal(pathOf([end, start]), '1/1 1/2 1/3 2/4 2/5')
  t.equal(pathOf([end]), '', 'nothing leads there')
  t.equal(pathOf([end], { epoch: 1, sequence: 2 }), '1/3 2/4 2/5')
  t.equal(pathOf([end], { epoch: 2, sequence: 2 }), '', 'the same sequence in another epoch')
})

t.test('what is committed by the word of an entry stays', async (t) => {
  const acknowledged = torn(chain(1, 0, [1, 2, 2], 2))
  const replaced = whole(chain(1, 0, [1, 1, 1]))
  t.equal(pathOf([replaced, acknowledged]), '1/1 2/2 2/3', 'one that was away had its own')
  t.equal(pathOf([replaced, torn(chain(1, 0, [1, 2]))]), '1/1 1/2 1/3', 'nothing says so')
  const { committed } = leadOn(BEGINNING, [whole(chain(1, 0, [1])), torn(chain(8, 2, [2], 7))])
  t.equal(committed, 7, 'also one to which nothing leads')
})

t.test('what is left of a torn log goes behind whole ones, never in their place', async (t) => {
  const sure = whole(chain(1, 0, [1, 1]))
  t.equal(pathOf([sure, torn(chain(1, 0, [1, 1, 1, 2]))]), '1/1 1/2 1/3 2/4')
  t.equal(pathOf([sure, torn(chain(1, 0, [1, 3]))]), '1/1 1/2')
  t.equal(pathOf([torn(chain(1, 0, [1, 3]))]), '1/1 3/2', 'unless there is no other')
})

interface Entry extends EntryHead {
  /** Drawn anew for every entry: two with one position must be one. */
  content: number
}

interface Replica {
  promised: number
  log: Entry[]
  /** As its log was at other times. */
  former: Entry[][]
}

/** A partition on some replicas by the rules of docs/formats/replication.md, as short as they can be written down. */
class Model {
  readonly replicas: Replica[]
  /** The longest that was committed. */
  acknowledged: Entry[] = []
  #reign = { epoch: 0, primary: 0, first: 0, committed: 0 }
  #contents = 0

  constructor(count: number) {
    this.replicas = Array.from({ length: count }, () => ({ promised: 0, log: [], former: [] }))
  }

  get majority(): number {
    return Math.floor(this.replicas.length / 2) + 1
  }

  /** One begins to lead by the word of a majority. */
  lead(primary: number, voters: readonly number[]): void {
    const asked = [...new Set([primary, ...voters])].map((voter) => this.replicas[voter]!)
    if (asked.length < this.majority) return
    const epoch = this.#reign.epoch + 1
    for (const replica of asked) replica.promised = epoch
    const latest = asked
      .map(({ log }) => log)
      .reduce((one, other) => (isLater(other, one) ? other : one))
    this.#write(primary, [...latest])
    this.#reign = { epoch, primary, first: latest.length + 1, committed: 0 }
    this.append()
  }

  append(): void {
    const { epoch, primary, committed } = this.#reign
    const { log, promised } = this.replicas[primary]!
    if (epoch === 0 || promised !== epoch) return
    this.#contents += 1
    const [sequence, prevEpoch] = [log.length + 1, log.at(-1)?.epoch ?? 0]
    const content = this.#contents
    this.#write(primary, [...log, { epoch, sequence, prevEpoch, committed, content }])
  }

  /** A replica takes what the primary has, up to some sequence. */
  send(to: number, upTo: number): void {
    const { epoch, primary } = this.#reign
    const replica = this.replicas[to]!
    if (epoch === 0 || to === primary || replica.promised > epoch) return
    replica.promised = epoch
    const sent = this.replicas[primary]!.log.slice(0, upTo)
    const differs = sent.some(({ content }, at) => replica.log[at]?.content !== content)
    if (differs) this.#write(to, sent)
    this.#count()
  }

  #count(): void {
    const { primary, first } = this.#reign
    const { log } = this.replicas[primary]!
    for (let length = log.length; length >= first; length -= 1) {
      const { content } = log[length - 1]!
      const holders = this.replicas.filter((one) => one.log[length - 1]?.content === content)
      if (holders.length < this.majority) continue
      this.#reign.committed = length
      if (length > this.acknowledged.length) this.acknowledged = log.slice(0, length)
      return
    }
  }

  #write(replica: number, log: Entry[]): void {
    const { former, log: before } = this.replicas[replica]!
    former.push(before)
    this.replicas[replica]!.log = log
  }
}

function isLater(one: readonly Entry[], other: readonly Entry[]): boolean {
  return comparePositions(one.at(-1) ?? BEGINNING, other.at(-1) ?? BEGINNING) > 0
}

const step = fc.tuple(fc.nat(9), fc.nat(4), fc.nat(31), fc.nat(12))

function run(count: number, steps: readonly (readonly [number, number, number, number])[]): Model {
  const model = new Model(count)
  for (const [kind, which, set, length] of steps) {
    const replica = which % count
    const voters = Array.from({ length: count }, (_, voter) => voter).filter((v) => (set >> v) & 1)
    if (kind < 2) model.lead(replica, voters)
    else if (kind < 5) model.append()
    else model.send(replica, kind < 8 ? Number.POSITIVE_INFINITY : length)
  }
  return model
}

/** How many entries of what was acknowledged are in the path. */
function keptOf(path: readonly Entry[], from: number, { acknowledged }: Model): number {
  const wanted = acknowledged.slice(from)
  const at = wanted.findIndex(({ content }, index) => path[index]?.content !== content)
  return at === -1 ? wanted.length : at
}

t.test('histories of reigns, and logs that are left of them', async (t) => {
  let [checked, beyond] = [0, 0]
  fc.assert(
    fc.property(
      fc.constantFrom(3, 5),
      fc.array(step, { minLength: 20, maxLength: 80 }),
      fc.array(fc.tuple(fc.nat(4), fc.nat(60), fc.nat(10), fc.nat(3)), { maxLength: 4 }),
      fc.nat(31),
      fc.nat(20),
      (count, steps, remnants, set, rows) => {
        const model = run(count, steps)
        const from = Math.min(rows, model.acknowledged.length)
        const base = model.acknowledged[from - 1] ?? BEGINNING
        const wholes = model.replicas.filter((_, index) => (set >> index) & 1)
        // Of others what they had at some time is left, without some of it.
        const torns = remnants.map(([index, time, cut, width]) => {
          const { former, log } = model.replicas[index % count]!
          const entries = [...former, log][time % (former.length + 1)]!
          return torn(entries.filter((_, at) => at < cut || at >= cut + width))
        }) as LeftLog<Entry>[]
        const sure = wholes.map(({ log }) => ({ isWhole: true, entries: log }))
        const { entries } = leadOn<Entry>(base, [...torns, ...sure])
        const withoutTorn = leadOn<Entry>(base, sure)
        for (const [at, entry] of entries.entries())
          if (!follows(entry, entries[at - 1] ?? base)) return false
        const kept = keptOf(entries, from, model)
        const lost = model.acknowledged.length - from - kept
        checked += 1
        if (kept > keptOf(withoutTorn.entries, from, model)) beyond += 1
        if (wholes.length >= model.majority && lost > 0) return false
        return kept >= keptOf(withoutTorn.entries, from, model)
      },
    ),
    { numRuns: 4000 },
  )
  t.equal(checked, 4000)
  t.ok(beyond > 20, `what is torn brought something ${beyond} times`)
})
