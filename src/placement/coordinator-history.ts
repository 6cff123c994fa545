// What drives remember of past decisions, and which of them holds at a start.
// Two histories that both may have been acted upon are a fork: refused, never merged (docs/formats/coordinator.md).
import { listIfThere } from '../kit/files.ts'
import type { World } from '../kit/world.ts'
import { type Decision, decodeDecision, epochOfFileName } from './coordinator-format.ts'

/** Every intact decision on one drive, oldest first, and the epochs whose files are damaged. */
export interface History {
  decisions: Decision[]
  corrupt: number[]
}

/** What a set of histories says together. */
export type Choice =
  /** `behind`: drives that do not hold exactly this decision as their last. */
  | { kind: 'chosen'; decision: Decision; behind: number[] }
  | { kind: 'forked'; drives: number[] }
  | { kind: 'none' }

/** Where decisions are on a drive. */
export function coordinatorPath(drivePath: string): string {
  return `${drivePath}/coordinator`
}

/** Reads every decision on a drive; damaged files are skipped and reported. */
export async function readHistory(world: Pick<World, 'disk'>, drivePath: string): Promise<History> {
  const directory = coordinatorPath(drivePath)
  const history: History = { decisions: [], corrupt: [] }
  for (const name of (await listIfThere(world, directory)).sort()) {
    const epoch = epochOfFileName(name)
    if (epoch === undefined) continue
    const decision = await readDecision(world, `${directory}/${name}`)
    if (decision?.state.epoch === epoch) history.decisions.push(decision)
    else history.corrupt.push(epoch)
  }
  return history
}

/**
 * The highest decision that every other history leads up to. A drive may end in decisions that surely did not
 * hold (an active drive that is here never got them): those were never acted upon and do not make a fork.
 */
export function chooseState(histories: ReadonlyMap<number, History>): Choice {
  const candidates = [...histories.values()]
    .flatMap(({ decisions }) => decisions.slice(-1))
    .sort(
      (left, right) => right.state.epoch - left.state.epoch || (left.hash < right.hash ? -1 : 1),
    )
  const highest = candidates[0]
  if (highest === undefined) return { kind: 'none' }
  for (const candidate of candidates) {
    if (strangers(candidate, histories).length > 0) continue
    return { kind: 'chosen', decision: candidate, behind: drivesBehind(candidate, histories) }
  }
  return { kind: 'forked', drives: strangers(highest, histories) }
}

function drivesBehind(chosen: Decision, histories: ReadonlyMap<number, History>): number[] {
  return [...histories]
    .filter(([, { decisions }]) => decisions.at(-1)?.hash !== chosen.hash)
    .map(([driveId]) => driveId)
}

/** Drives whose history does not lead to `candidate`. */
function strangers(candidate: Decision, histories: ReadonlyMap<number, History>): number[] {
  return [...histories]
    .filter(([, history]) => !leadsTo(candidate, history, histories))
    .map(([driveId]) => driveId)
}

function leadsTo(
  candidate: Decision,
  history: History,
  histories: ReadonlyMap<number, History>,
): boolean {
  let end = history.decisions.length
  while (end > 0) {
    const last = history.decisions[end - 1]!
    if (isAncestor(last, candidate)) return true
    if (!surelyDidNotHold(last, histories)) return false
    end -= 1
  }
  return true
}

function isAncestor(decision: Decision, candidate: Decision): boolean {
  if (decision.hash === candidate.hash) return true
  const { epoch } = decision.state
  return candidate.ancestors.some((known) => known[0] === epoch && known[1] === decision.hash)
}

function surelyDidNotHold(decision: Decision, histories: ReadonlyMap<number, History>): boolean {
  return decision.state.map.drives.some(({ id, state }) => {
    const history = histories.get(id)
    return state !== 'out' && history !== undefined && surelyLacks(history, decision)
  })
}

function surelyLacks(history: History, decision: Decision): boolean {
  if (history.corrupt.some((epoch) => epoch >= decision.state.epoch)) return false
  const last = history.decisions.at(-1)
  // A history that ends in nothing proves nothing: its files may have been lost.
  if (last === undefined) return false
  return !isAncestor(decision, last)
}

async function readDecision(
  world: Pick<World, 'disk'>,
  path: string,
): Promise<Decision | undefined> {
  return decodeDecision(await world.disk.readFile(path))
}
