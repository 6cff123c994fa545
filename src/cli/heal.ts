// kintsugi heal: begins a verified pass over all blobs; with --wait it ends when one left nothing owed.
import { Exit } from '../exit.ts'
import type { HealBegun, HealingStatus } from '../gateway/admin-api.ts'
import { showBytes } from '../kit/bytes.ts'
import { counted } from '../kit/counted.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import { type AdminClient, type AdminOptions, openAdminClient } from './admin-client.ts'
import { showCount } from './amounts.ts'
import { parseTimeout } from './drive.ts'
import { isStartedAnew, type OutageParts, Outages } from './outages.ts'
import { drawLine, endDrawing, sayBeside } from './progress.ts'
import { showPass } from './show-drives.ts'
import { showLost } from './show-lost.ts'

/** Options of the command. */
export interface HealOptions extends AdminOptions {
  wait?: boolean
  /** Seconds. */
  timeout: string
}

/** The store is asked so often. */
const POLL_MS = 1_000

const LOOK = 'kintsugi status says what is in the way'

/** Begins a pass and, with `wait`, waits for its end. Throws Exit, with code 5 when something stays unmended. */
export async function heal(options: HealOptions): Promise<void> {
  const timeoutMs = parseTimeout(options.timeout)
  const world = realWorld()
  const client = await openAdminClient(options, world)
  if (!options.wait) {
    const begun = await client.beginHeal()
    process.stdout.write(`${options.json ? JSON.stringify(begun) : sayBegun(begun)}\n`)
    const untold = sayUntold(begun)
    if (untold !== undefined) throw new Exit(5, untold)
    return
  }
  const progress = new HealLine()
  const showProgress = (healing: HealingStatus): void =>
    drawLine(progress.show(healing, world.clock.monotonicMs()))
  const parts = { client, clock: world.clock, showProgress, say: sayBeside }
  const waiting = waitForHealing({ timeoutMs }, parts)
  report(await stayAlive(waiting.finally(endDrawing)), options)
}

/** Of a pass that nobody waits for: who was told of it. */
export function sayBegun({ nodes, silent = [] }: HealBegun): string {
  if (nodes === undefined || silent.length === 0) return 'A pass over all blobs was asked for.'
  const told = Object.keys(nodes)
  return told.length === 0
    ? 'No node answered.'
    : `A pass over what they look after was asked of ${counted(told.length, 'node')}: ${told.join(', ')}.`
}

/** Why not all blobs are read by the pass, unless they are. A node that is told nothing reads nothing. */
export function sayUntold({ silent = [] }: HealBegun): string | undefined {
  if (silent.length === 0) return undefined
  return `${counted(silent.length, 'node')} did not answer: ${silent.join(', ')}. ${LOOK}.`
}

/** How waiting ended. */
export interface HealEnd {
  kind: 'verified' | 'unrepairable' | 'waiting-for-drives' | 'timeout'
  healing: HealingStatus
  /** Passes that ended, and had not verified everything. */
  inVain: number
}

/** What waiting needs. */
export interface HealWaitParts extends OutageParts {
  client: Pick<AdminClient, 'beginHeal' | 'healing'>
  showProgress(healing: HealingStatus): void
}

/**
 * Asks for passes, one after the other, until one leaves nothing owed, nothing more can be done or time is over. A store
 * that was started anew is asked again: it knows nothing of the pass that the other process was asked for.
 */
export async function waitForHealing(
  { timeoutMs }: { timeoutMs: number },
  { client, clock, showProgress, say }: HealWaitParts,
): Promise<HealEnd> {
  const untilMs = clock.monotonicMs() + timeoutMs
  const outages = new Outages({ clock, say })
  let begun = await client.beginHeal()
  let outagesSeen = 0
  let inVain = 0
  let before: HealingStatus | undefined
  for (;;) {
    const healing = await outages.over(() => client.healing())
    showProgress(healing)
    const isSame = outages.count === outagesSeen && !(before && isStartedAnew(before, healing))
    outagesSeen = outages.count
    before = healing
    const end = isSame ? judgePass(healing, begun) : 'again'
    if (end !== 'again' && end !== 'under-way') return { kind: end, healing, inVain }
    if (end === 'again' && isSame) {
      inVain += 1
      // More of them would say nothing new.
      if (inVain === 1) say(`a pass ended, and not everything is verified: ${LOOK}; it goes on.`)
    }
    if (clock.monotonicMs() >= untilMs) return { kind: 'timeout', healing, inVain }
    if (end === 'again') begun = await outages.over(() => client.beginHeal())
    await clock.sleep(POLL_MS)
  }
}

/** What follows from how it stands. A pass that began before it was asked for proves nothing. */
function judgePass(
  healing: HealingStatus,
  { askedMs, scrubsEnded, nodes }: HealBegun,
): HealEnd['kind'] | 'under-way' | 'again' {
  const { ended, verified, lastVerifiedMs = 0, unrepairableCount, waiting } = healing
  if (nodes ? !haveAllEnded(healing, nodes) : ended.scrub < scrubsEnded) return 'under-way'
  // Nodes have clocks of their own: the numbers of their passes have said already that these began later.
  const isLater = nodes ? wereAllAsked(healing, nodes) : lastVerifiedMs >= askedMs
  if (verified && isLater) return 'verified'
  if (unrepairableCount > 0) return 'unrepairable'
  return waiting > 0 ? 'waiting-for-drives' : 'again'
}

/** Whether every node has ended as many scrubs as it was to. One that says nothing has not. */
function haveAllEnded(
  { endedScrubs = {} }: HealingStatus,
  nodes: NonNullable<HealBegun['nodes']>,
): boolean {
  return Object.entries(nodes).every(([id, wanted]) => (endedScrubs[id] ?? 0) >= wanted)
}

/** One that did not hear the question and answers now knows nothing newer than before. */
function wereAllAsked(
  { endedScrubs = {} }: HealingStatus,
  nodes: NonNullable<HealBegun['nodes']>,
): boolean {
  return Object.keys(endedScrubs).every((id) => id in nodes)
}

function report(end: HealEnd, { json, timeout }: HealOptions): void {
  const { kind, healing } = end
  if (json) process.stdout.write(`${JSON.stringify({ result: kind, healing }, undefined, 2)}\n`)
  else if (kind === 'verified') process.stdout.write(`${sumUp(healing)}\n`)
  else
    process.stdout.write(
      showLost(healing)
        .map((line) => `${line}\n`)
        .join(''),
    )
  if (kind !== 'verified') throw new Exit(5, explain({ ...end, kind }, timeout))
}

/** In words that do not take what was counted since a start for what this pass did. */
export function sumUp(healing: HealingStatus): string {
  const { mendedShards, checkedBlobs, checkedFiles, damagedFiles, endedScrubs } = healing
  const who = endedScrubs === undefined ? 'the server' : 'the nodes'
  return (
    `A verified pass left nothing owed. All passes since ${who} started: ${checkedBlobs} blobs checked, ` +
    `${mendedShards} shards mended, ${checkedFiles} other files checked, ${damagedFiles} of them mended.`
  )
}

/** Why it is not verified. */
export function explain(
  { kind, healing, inVain }: HealEnd & { kind: Exclude<HealEnd['kind'], 'verified'> },
  timeout: string,
): string {
  const { unrepairableCount, waiting } = healing
  switch (kind) {
    case 'unrepairable':
      return `${counted(unrepairableCount, 'blob')} can not be mended: kintsugi status names them.`
    case 'waiting-for-drives':
      return `there is no drive for shards of ${counted(waiting, 'blob')}.`
    case 'timeout':
      return inVain === 0
        ? `no pass came to its end within ${timeout} s; the store goes on.`
        : `${inVain === 1 ? 'a pass' : `${inVain} passes`} ended within ${timeout} s without having verified everything: ${LOOK}; the store goes on.`
  }
}

/** One line about the pass that is waited for. What it counts begins when it is shown first. */
export class HealLine {
  /** What one process told. */
  #seen: { first: HealingStatus; latest: HealingStatus } | undefined
  #last: { bytesRead: number; atMs: number } | undefined

  /** As it stands now. */
  show(healing: HealingStatus, nowMs: number): string {
    const { first, latest } = this.#seen ?? { first: healing, latest: healing }
    const isAnew = isStartedAnew(latest, healing)
    this.#seen = { first: isAnew ? healing : first, latest: healing }
    if (isAnew) this.#last = undefined
    const { passes, queued, mendedShards, bytesRead } = healing
    const pass = passes.find(({ kind }) => kind === 'scrub') ?? passes[0]
    const mended = mendedShards - this.#seen.first.mendedShards
    const rate = this.#showRate({ bytesRead, atMs: nowMs })
    const parts = [
      ...(pass ? [showPass(pass), rate] : ['no pass is under way']),
      mended > 0 ? `${showCount(mended)} shards mended` : '',
      queued > 0 ? `${showCount(queued)} queued` : '',
    ]
    return parts.filter((part) => part !== '').join(', ')
  }

  /** Of what was read since it was shown last. */
  #showRate(now: { bytesRead: number; atMs: number }): string {
    const { bytesRead, atMs } = this.#last ?? now
    this.#last = now
    const seconds = (now.atMs - atMs) / 1000
    return seconds > 0 ? `${showBytes(Math.round((now.bytesRead - bytesRead) / seconds))}/s` : ''
  }
}
