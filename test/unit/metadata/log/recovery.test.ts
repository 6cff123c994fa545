// What holds after a stop: cases by hand, and thousands by a seed against a plain simulation.
import t from 'tap'
import type { EntryHead } from '../../../../src/metadata/log/entry.ts'
import {
  chainAfter,
  planRecovery,
  type ReplicaEvidence,
} from '../../../../src/metadata/log/recovery.ts'
import { Seeded } from '../../../support/seeded.ts'

const entry = (
  epoch: number,
  sequence: number,
  prevEpoch = epoch,
  committed = sequence - 1,
): EntryHead => ({
  epoch,
  sequence,
  prevEpoch,
  committed,
})
const at = (epoch: number, sequence: number) => ({ epoch, sequence })

t.test('a union of what is intact anywhere', async (t) => {
  const plan = planRecovery([
    { id: 'a', base: at(1, 2), claimed: undefined, entries: [entry(1, 3), entry(1, 5)] },
    { id: 'b', base: at(1, 3), claimed: undefined, entries: [entry(1, 4), entry(1, 6)] },
  ])
  t.match(plan, { kind: 'recovered', tip: at(1, 6), doubtful: false })
  if (plan.kind !== 'recovered') return
  t.same(
    plan.chain.map(({ sequence }) => sequence),
    [3, 4, 5, 6],
  )
  const [a, b] = plan.replicas
  t.match(a, { kind: 'mend', from: at(1, 2) })
  t.same(a?.kind === 'mend' && a.lacks.map(({ sequence }) => sequence), [4, 6])
  t.same(b?.kind === 'mend' && b.lacks.map(({ sequence }) => sequence), [5])
})

t.test('what leads on from a position, up to the first hole', async (t) => {
  const numbers = (from: ReturnType<typeof at>, ...logs: EntryHead[][]) =>
    chainAfter(from, logs).map(({ epoch, sequence }) => `${epoch}/${sequence}`)
  const one = [entry(1, 3), entry(2, 4, 1), entry(2, 7)]
  const other = [entry(1, 4), entry(1, 5), entry(2, 5)]
  t.same(numbers(at(1, 2), one, other), ['1/3', '2/4', '2/5'], 'the later epoch holds')
  t.same(numbers(at(1, 3), one, other), ['2/4', '2/5'])
  t.same(numbers(at(2, 6), one, other), ['2/7'])
  t.same(numbers(at(1, 1), one, other), [], 'a hole at once')
  t.same(numbers(at(3, 3), one, other), [], 'another history')
})

t.test('a torn tail was never acknowledged', async (t) => {
  const plan = planRecovery([
    // 4 is missing everywhere: 5 was written but not committed.
    { id: 'a', base: at(1, 2), claimed: at(1, 3), entries: [entry(1, 3), entry(1, 5, 1, 3)] },
    { id: 'b', base: at(1, 2), claimed: at(1, 3), entries: [entry(1, 3)] },
  ])
  t.match(plan, { kind: 'recovered', tip: at(1, 3), doubtful: false })
})

t.test('a committed entry that is nowhere is a loss, and said so', async (t) => {
  const plan = planRecovery([
    { id: 'a', base: at(1, 2), claimed: at(1, 3), entries: [entry(1, 3), entry(1, 5, 1, 4)] },
  ])
  t.same(plan, { kind: 'lost', reached: at(1, 3), committed: 4 })
  const believed = planRecovery([
    { id: 'a', base: at(1, 2), claimed: at(1, 4), entries: [entry(1, 3), entry(1, 5, 1, 4)] },
    { id: 'b', base: at(1, 2), claimed: undefined, entries: [] },
  ])
  t.match(believed, {
    kind: 'recovered',
    tip: at(1, 5),
    doubtful: true,
    replicas: [
      { kind: 'mend', id: 'a', from: at(1, 4) },
      { kind: 'replace', id: 'b' },
    ],
  })
})

t.test('rows that are lost are copied anew, or made from a log that is whole', async (t) => {
  const rest = planRecovery([
    { id: 'a', base: undefined, claimed: undefined, entries: [entry(1, 9)] },
    { id: 'b', base: at(1, 8), claimed: undefined, entries: [] },
  ])
  t.match(rest, { tip: at(1, 9), replicas: [{ kind: 'replace' }, { kind: 'mend' }] })
  const whole = planRecovery([
    { id: 'a', base: undefined, claimed: undefined, entries: [entry(1, 1, 0), entry(1, 2)] },
    { id: 'b', base: at(1, 1), claimed: undefined, entries: [] },
  ])
  t.match(whole, { tip: at(1, 2), replicas: [{ kind: 'mend', from: at(0, 0) }, { kind: 'mend' }] })
  t.match(planRecovery([]), { kind: 'lost' })
  t.match(
    planRecovery([{ id: 'a', base: undefined, claimed: undefined, entries: [] }]),
    { kind: 'lost' },
    'nothing at all is not the same as empty',
  )
})

t.test('entries of an epoch that was given up do not come back', async (t) => {
  const plan = planRecovery([
    {
      id: 'a',
      base: at(5, 9),
      claimed: undefined,
      entries: [entry(5, 10), entry(5, 11), entry(5, 12), entry(6, 10, 5), entry(6, 11)],
    },
  ])
  t.match(plan, { tip: at(6, 11) })
})

interface Simulated {
  entries: EntryHead[]
  base: { epoch: number; sequence: number }
}

/** Several lives of a log with three replicas; each life ends with a tail that only some replicas have. */
function simulate(seeded: Seeded): {
  replicas: Simulated[]
  acknowledged: number
  truth: EntryHead[]
} {
  const replicas: Simulated[] = [0, 1, 2].map(() => ({ entries: [], base: at(0, 0) }))
  let truth: EntryHead[] = []
  let acknowledged = 0
  for (let epoch = 1; epoch <= 1 + seeded.below(4); epoch += 1) {
    const settled = truth.length
    const count = 1 + seeded.below(6)
    const durable = replicas.map(() => settled + 1 + seeded.below(count))
    acknowledged = Math.min(...durable)
    for (let index = 0; index < count; index += 1) {
      const last = truth.at(-1) ?? at(0, 0)
      const committed = Math.min(
        last.sequence,
        settled + seeded.below(Math.max(1, acknowledged - settled)),
      )
      const next = entry(epoch, last.sequence + 1, last.epoch, committed)
      truth.push(next)
      replicas.forEach(({ entries }, replica) => {
        if (next.sequence <= durable[replica]!) entries.push(next)
      })
    }
    // The next start: the longest that anyone has, given to everyone.
    const reached = Math.max(...durable)
    truth = truth.slice(0, reached)
    const isLast = seeded.below(2) === 0
    if (isLast) break
    for (const one of replicas) {
      for (const known of truth) if (!one.entries.includes(known)) one.entries.push(known)
      const marked = truth[seeded.below(truth.length + 1) - 1]
      if (marked) one.base = at(marked.epoch, marked.sequence)
    }
    acknowledged = reached
  }
  return { replicas, acknowledged, truth }
}

t.test(
  'with one replica untouched nothing acknowledged is lost, whatever befalls the others',
  async (t) => {
    for (let seed = 1; seed <= 3000; seed += 1) {
      const seeded = new Seeded(seed)
      const { replicas, acknowledged, truth } = simulate(seeded)
      const spared = seeded.below(3)
      const evidence = replicas.map(({ entries, base }, id): ReplicaEvidence<number> => {
        if (id === spared) return { id, base, claimed: undefined, entries }
        const left = entries.filter(() => seeded.below(4) > 0)
        const rows = seeded.below(3) > 0 ? base : undefined
        return { id, base: rows, claimed: undefined, entries: left }
      })
      const plan = planRecovery(evidence)
      if (plan.kind !== 'recovered' || plan.doubtful) {
        t.fail(`seed ${seed}: ${plan.kind}`)
        return
      }
      const wanted = truth.find(({ sequence }) => sequence === plan.tip.sequence)
      const isRight =
        plan.tip.sequence >= acknowledged &&
        (plan.tip.sequence === 0 || wanted?.epoch === plan.tip.epoch) &&
        plan.chain.every((one) =>
          truth.some((real) => real.epoch === one.epoch && real.sequence === one.sequence),
        )
      if (!isRight) {
        t.fail(`seed ${seed}: the tip ${plan.tip.epoch}/${plan.tip.sequence} is wrong`)
        return
      }
    }
    t.pass('seeds 1 to 3000')
  },
)
