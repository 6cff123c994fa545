// Drives come and leave under load: 6 → 7 → 12 → 7 → 6, and hardly more bytes move than the new shares ask for; then
// again with the process killed at any moment. Every object is readable all the time, and every acknowledged write stays.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { ClusterMap } from '../../src/placement/cluster-map.ts'
import { idealLoads, stayingDrives } from '../../src/placement/rebalance.ts'
import { loseDirectory } from '../support/lose-directory.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import type { Order, StoreState } from './moving-store.ts'
import { Watcher } from './moving-watcher.ts'

const WIDTH = 6

type Command = Exclude<Order, { kind: 'open' }>

interface Moving {
  watcher: Watcher
  pathOf(id: number): string
}

const seed = seedOfRun()
t.comment(`SEED=${seed}`)

async function begin(t: Test, keys: number): Promise<Moving> {
  const root = await mkdtemp(join(tmpdir(), 'kintsugi-move-'))
  const pathOf = (id: number): string => join(root, `drive${id}`)
  const watcher = new Watcher([1, 2, 3, 4, 5, 6].map(pathOf), { keys, seed })
  t.teardown(async () => {
    await watcher.kill()
    await loseDirectory(root)
  })
  await watcher.start()
  await watcher.until('filled', ({ filling }) => filling === 0)
  return { watcher, pathOf }
}

function isSettled({ misplaced, leftBehind, map }: StoreState): boolean {
  const isLeft = map.drives.every(({ isLeaving, isVacated }) => !isLeaving || isVacated)
  return misplaced === 0 && leftBehind === 0 && isLeft
}

/** Slots that must change hands at least from one table to shares by the drives of another. */
function leastSlots(before: ClusterMap, after: ClusterMap): number {
  const loads = new Map<number, number>()
  for (const id of before.slots.flatMap((row) => row.slice(0, WIDTH)))
    loads.set(id, (loads.get(id) ?? 0) + 1)
  const ideals = idealLoads(stayingDrives(after.drives), before.slots.length, WIDTH)
  return [...ideals].reduce(
    (sum, [id, ideal]) => sum + Math.max(0, ideal - (loads.get(id) ?? 0)),
    0,
  )
}

function sumOf(held: StoreState['held']): number {
  return held.reduce((sum, [, bytes]) => sum + bytes, 0)
}

async function removeVacated({ watcher, pathOf }: Moving): Promise<void> {
  for (const { id, isVacated } of watcher.state!.map.drives) {
    if (!isVacated) continue
    await watcher.order({ kind: 'remove', driveId: id })
    await loseDirectory(pathOf(id))
  }
}

/** One change of the drives, undisturbed: hardly more moves than must. */
async function change(t: Test, moving: Moving, what: string, commands: Command[]): Promise<void> {
  const { watcher } = moving
  const before = await watcher.until('settled', isSettled)
  const startedMs = performance.now()
  const movedBefore = watcher.movedBytes
  for (const command of commands)
    t.match(await watcher.order(command), { kind: 'done' }, `${what}: ${command.kind}`)
  const after = await watcher.until('moved', isSettled)
  const share = leastSlots(before.map, after.map) / (before.map.slots.length * WIDTH)
  const least = share * Math.max(sumOf(before.held), sumOf(after.held))
  const bytes = watcher.movedBytes - movedBefore
  t.comment(
    `${what}: ${(bytes / 1e6).toFixed(1)} MB moved, ${(least / 1e6).toFixed(1)} MB at least ` +
      `(${(bytes / least).toFixed(2)}), in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
  )
  t.ok(bytes > 0 && bytes <= least * 1.3, `${what}: bytes moved`)
  await removeVacated(moving)
  t.same(watcher.troubles, [], what)
}

t.test('6 → 7 → 12 → 7 → 6 drives under load', { timeout: 600_000 }, async (t) => {
  const moving = await begin(t, 240)
  const { watcher, pathOf } = moving
  const add = (id: number): Command => ({ kind: 'add', path: pathOf(id) })
  const drain = (driveId: number): Command => ({ kind: 'drain', driveId })
  await change(t, moving, '6 → 7', [add(7)])
  await change(t, moving, '7 → 12', [8, 9, 10, 11, 12].map(add))
  await change(t, moving, '12 → 7', [2, 4, 6, 8, 10].map(drain))
  await change(t, moving, '7 → 6', [drain(1)])
  await watcher.kill()
  await watcher.start(true)
  t.same(watcher.troubles, [], 'everything is there at the end')
  t.comment(`${watcher.reads} reads checked, ${watcher.changes} changes`)
})

/** Gives a command and kills the process soon after, again and again; then once more, and waits for its end. */
async function insist(
  t: Test,
  { watcher }: Moving,
  command: Command,
  random: Seeded,
): Promise<StoreState> {
  for (let kill = 0; kill < KILLS; kill += 1) {
    const given = watcher.order(command)
    // Some hit the command itself, and some what follows from it.
    await sleep(random.below(kill === 0 ? 60 : 1_500))
    await watcher.kill()
    await given
    await watcher.start()
    t.same(watcher.troubles, [], `${command.kind}: after a kill`)
  }
  const outcome = await watcher.order(command)
  if (outcome?.kind === 'refused') t.match(outcome.sentence, DONE_ALREADY[command.kind])
  return await watcher.until(`${command.kind} at its end`, isSettled)
}

const KILLS = 2

/** What a command says that was carried out before. */
const DONE_ALREADY = {
  add: /and in use/,
  replace: /is being emptied already/,
  drain: /never/,
  cancel: /is not being emptied/,
  remove: /there is no drive/,
} as const satisfies Record<Command['kind'], RegExp>

t.test('the process is killed in the middle of each command', { timeout: 600_000 }, async (t) => {
  const moving = await begin(t, 80)
  const { watcher, pathOf } = moving
  const random = new Seeded(seed)
  const drivesOf = ({ map }: StoreState): string[] =>
    map.drives.map(({ path = '', state }) => `${path.slice(pathOf(0).length - 1)} ${state}`)
  const added = await insist(t, moving, { kind: 'add', path: pathOf(7) }, random)
  t.same(
    drivesOf(added),
    [1, 2, 3, 4, 5, 6, 7].map((id) => `${id} active`),
  )
  const { id: seventh } = added.map.drives.at(-1)!
  await insist(t, moving, { kind: 'replace', driveId: 2, path: pathOf(8) }, random)
  await insist(t, moving, { kind: 'remove', driveId: 2 }, random)
  await insist(t, moving, { kind: 'drain', driveId: seventh }, random)
  const end = await insist(t, moving, { kind: 'remove', driveId: seventh }, random)
  t.same(
    drivesOf(end),
    [1, 3, 4, 5, 6, 8].map((id) => `${id} active`),
  )
  await watcher.kill()
  for (const id of [2, 7]) await loseDirectory(pathOf(id))
  await watcher.start(true)
  t.same(watcher.troubles, [], 'everything is there at the end')
  t.comment(`${watcher.reads} reads checked, ${watcher.changes} changes, ${watcher.kills} kills`)
})
