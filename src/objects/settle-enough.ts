// Several steps under way, of which not all are needed: the late ones are not waited for longer than patience has it.
import type { Clock } from '../kit/world.ts'

/** How a step stands once nobody waits for it any more. */
export type StepOutcome = { kind: 'done' } | { kind: 'failed'; error: unknown } | { kind: 'late' }

/** When steps are enough, and how long the late ones are waited for then. */
export interface Waiting {
  clock: Pick<Clock, 'sleep'>
  /** By their indexes: whether these steps are enough. */
  isEnough(done: readonly number[]): boolean
  /** How long late steps are waited for; asked once, when enough are done. */
  waitMs(): number
}

/** Resolves when every step has ended. It never rejects. Counted by hand: every small object is written by such steps. */
export function settleAll(steps: readonly Promise<void>[]): Promise<StepOutcome[]> {
  return new Promise((resolve) => {
    const outcomes: StepOutcome[] = steps.map(() => DONE)
    let left = steps.length
    const end = (): void => {
      left -= 1
      if (left <= 0) resolve(outcomes)
    }
    for (const [index, step] of steps.entries()) {
      step.then(end, (error) => {
        outcomes[index] = { kind: 'failed', error }
        end()
      })
    }
    if (left === 0) resolve(outcomes)
  })
}

const DONE: StepOutcome = { kind: 'done' }

/** Resolves when every step has ended, or some time after enough of them are done. It never rejects. */
export async function settleEnough(
  steps: readonly Promise<void>[],
  { clock, isEnough, waitMs }: Waiting,
): Promise<StepOutcome[]> {
  const outcomes: StepOutcome[] = steps.map(() => ({ kind: 'late' }))
  const isOver = new AbortController()
  let reach = (): void => {}
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  let isReached = false
  const look = (): void => {
    if (isReached) return
    const done = outcomes.flatMap(({ kind }, index) => (kind === 'done' ? [index] : []))
    if (!isEnough(done)) return
    isReached = true
    reach()
  }
  const noted = steps.map(async (step, index) => {
    outcomes[index] = await endOf(step)
    look()
  })
  const late = reached.then(() => clock.sleep(waitMs(), isOver.signal)).catch(() => undefined) // All of them ended.
  await Promise.race([Promise.all(noted), late])
  isOver.abort(OVER)
  return [...outcomes]
}

// Without a reason of its own every abort would make an error with its stack.
const OVER = 'nobody waits any more'

async function endOf(step: Promise<void>): Promise<StepOutcome> {
  try {
    await step
    return { kind: 'done' }
  } catch (error) {
    return { kind: 'failed', error }
  }
}
