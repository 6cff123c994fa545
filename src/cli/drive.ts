// kintsugi drive: the drives of a running store, and what can be done with them while it serves.
import { resolve } from 'node:path'
import { Exit } from '../exit.ts'
import type { AddDrive, DriveDetails, DriveDone, HealingStatus } from '../gateway/admin-api.ts'
import { realWorld, stayAlive } from '../kit/world.ts'
import {
  type AdminClient,
  type AdminOptions,
  openAdminClient,
  parseEndpoint,
} from './admin-client.ts'
import { isStartedAnew, type OutageParts, Outages } from './outages.ts'
import { drawLine, endDrawing, sayBeside } from './progress.ts'
import { DrainProgress, showDrives } from './show-drives.ts'

/** Options of `add` and `replace`. */
export interface PlaceOptions extends AdminOptions {
  /** Clusters: whose directory it is. */
  node?: string
  weight?: string
}

/** Options of `replace`. */
export interface ReplaceOptions extends PlaceOptions {
  wait?: boolean
  /** Seconds. */
  timeout: string
}

/** Options of `drain`. */
export interface DrainOptions extends AdminOptions {
  wait?: boolean
  cancel?: boolean
  reEncode?: boolean
  /** Seconds. */
  timeout: string
}

/** Options of `remove`. */
export interface RemoveOptions extends AdminOptions {
  drain?: boolean
  wait?: boolean
  reEncode?: boolean
  timeout: string
}

/** The store is asked so often. */
const POLL_MS = 1_000

/** Prints the drives. Throws Exit. */
export async function listDrives(options: AdminOptions): Promise<void> {
  const client = await openAdminClient(options, realWorld())
  const found = await client.listDrives()
  if (options.json) return print(JSON.stringify(found, undefined, 2))
  const { passes } = await client.healing()
  print(showDrives(found, passes).join('\n'))
}

/** A directory becomes a drive, or one that was away is taken back. Throws Exit. */
export async function addDrive(directory: string, options: PlaceOptions): Promise<void> {
  const client = await openAdminClient(options, realWorld())
  say(await client.addDrive(parsePlace(directory, options)), options)
}

/** A directory becomes the drive in place of another one. Throws Exit. */
export async function replaceDrive(
  id: string,
  directory: string,
  options: ReplaceOptions,
): Promise<void> {
  const driveId = parseId(id)
  const timeoutMs = parseTimeout(options.timeout)
  const world = realWorld()
  const client = await openAdminClient(options, world)
  const begun = await client.replaceDrive({ driveId, ...parsePlace(directory, options) })
  if (!options.wait) return say(begun, options)
  warn(begun)
  await waitAndSay({ driveId, timeoutMs }, options, { client, world })
}

/** A drive is emptied, or not any more. Throws Exit. */
export async function drainDrive(id: string, options: DrainOptions): Promise<void> {
  const { cancel = false, reEncode = false, wait = false } = options
  const driveId = parseId(id)
  const timeoutMs = parseTimeout(options.timeout)
  if (cancel && wait) throw new Exit(2, '--cancel and --wait do not go together.')
  const world = realWorld()
  const client = await openAdminClient(options, world)
  const begun = await client.drainDrive({ driveId, isCancelled: cancel, reEncode })
  if (!wait) return say(begun, options)
  await waitAndSay({ driveId, timeoutMs }, options, { client, world })
}

async function waitAndSay(
  what: { driveId: number; timeoutMs: number },
  { json }: AdminOptions,
  parts: Omit<WaitParts, 'say'>,
): Promise<void> {
  const drive = await waitUntilVacated(what, { ...parts, say: sayBeside })
  const { driveId } = what
  const sentence =
    drive === undefined
      ? `Drive ${driveId} is no part of the store any more.`
      : `Nothing names drive ${driveId} any more: kintsugi drive remove ${driveId}.`
  print(json ? JSON.stringify({ driveId, sentence, drive }) : sentence)
}

/** A drive gets another share of the data. Throws Exit. */
export async function weighDrive(id: string, weight: string, options: AdminOptions): Promise<void> {
  const request = { driveId: parseId(id), weight: parseWeight(weight, 'WEIGHT') }
  const client = await openAdminClient(options, realWorld())
  say(await client.weighDrive(request), options)
}

/** A drive leaves the store. Throws Exit. */
export async function removeDrive(id: string, options: RemoveOptions): Promise<void> {
  const { drain = false, reEncode = false, wait = false } = options
  const driveId = parseId(id)
  const timeoutMs = parseTimeout(options.timeout)
  if (wait && !drain) throw new Exit(2, '--wait goes with --drain.')
  const world = realWorld()
  const client = await openAdminClient(options, world)
  if (drain) {
    const found = (await client.listDrives()).drives.find((drive) => drive.id === driveId)
    // One that was only out is counted on until it is drained, however little it has.
    if (!found?.isVacated || !found.isLeaving)
      await client.drainDrive({ driveId, isCancelled: false, reEncode })
    if (wait) await waitUntilVacated({ driveId, timeoutMs }, { client, world, say: sayBeside })
  }
  say(await client.removeDrive(driveId), options)
}

/** What waiting needs. */
export interface WaitParts {
  client: Pick<AdminClient, 'listDrives' | 'healing'>
  world: Pick<OutageParts, 'clock'>
  /** A sentence for people that stays beside the progress. */
  say: OutageParts['say']
}

/** Waits until nothing names the drive any more; undefined when it left meanwhile. Throws Exit with code 5. */
export function waitUntilVacated(
  what: { driveId: number; timeoutMs: number },
  parts: WaitParts,
): Promise<DriveDetails | undefined> {
  return stayAlive(pollUntilVacated(what, parts).finally(endDrawing))
}

async function pollUntilVacated(
  { driveId, timeoutMs }: { driveId: number; timeoutMs: number },
  { client, world: { clock }, say }: WaitParts,
): Promise<DriveDetails | undefined> {
  const untilMs = clock.monotonicMs() + timeoutMs
  const progress = new DrainProgress()
  const outages = new Outages({ clock, say })
  let before = await outages.over(() => client.healing())
  let passesBefore = countPasses(before)
  for (;;) {
    const { drives, moving } = await outages.over(() => client.listDrives())
    const drive = drives.find(({ id }) => id === driveId)
    if (drive === undefined || drive.isVacated) return drive
    if (!drive.isLeaving && drive.state === 'active')
      throw new Exit(5, `drive ${driveId} is not being emptied any more: somebody called it off.`)
    const healing = await outages.over(() => client.healing())
    const { passes } = healing
    // Another process counts its own.
    if (isStartedAnew(before, healing)) passesBefore = countPasses(healing)
    before = healing
    drawLine(progress.show(drive, { moving, passes }, clock.monotonicMs()))
    // A pass that is under way may have begun before: two more that end have seen everything.
    if (healing.unrepairableCount > 0 && countPasses(healing) >= passesBefore + 2)
      throw new Exit(5, sayUnrepairable(healing))
    if (clock.monotonicMs() >= untilMs)
      throw new Exit(5, `drive ${driveId} is not empty yet; the store goes on.`)
    await clock.sleep(POLL_MS)
  }
}

/** As many as a line holds; kintsugi status lists them. */
const NAMED_MAX = 3

function sayUnrepairable({ unrepairable, unrepairableCount }: HealingStatus): string {
  const names = unrepairable
    .slice(0, NAMED_MAX)
    .map(({ bucket, key, uid, part }) =>
      bucket === undefined || key === undefined ? `blob ${uid}.${part}` : `s3://${bucket}/${key}`,
    )
  const more = unrepairableCount - names.length
  const all = more > 0 ? `${names.join(', ')} and ${more} more` : names.join(', ')
  return `${all} can not be mended, so they keep the drive: delete them, or bring back what they lack (kintsugi status).`
}

function countPasses({ ended }: { ended: { check: number; scrub: number } }): number {
  return ended.check + ended.scrub
}

/** A path of the machine that the store runs on. Relative ones mean something only where that is this machine. */
function parsePlace(directory: string, { endpoint, weight, node }: PlaceOptions): AddDrive {
  const path = directory.startsWith('/') || isHere(endpoint) ? resolve(directory) : directory
  if (!path.startsWith('/'))
    throw new Exit(
      2,
      `${directory} is a path of another machine: give it from the root on, as /mnt/g.`,
    )
  return {
    path,
    ...(weight === undefined ? {} : { weight: parseWeight(weight, '--weight') }),
    ...(node === undefined ? {} : { nodeId: parseNodeId(node) }),
  }
}

function parseWeight(text: string, name: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text)
  throw new Exit(2, `${name} ${text} is not a whole number from 1 on.`)
}

/** The id of a node. Throws Exit. */
export function parseNodeId(text: string): string {
  if (isNodeId(text)) return text
  throw new Exit(2, `${text} is not the id of a node: kintsugi status shows them.`)
}

/** Whether a text is the id of a node: drives have short numbers. */
export function isNodeId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text)
}

function isHere(endpoint: string): boolean {
  const { hostname } = parseEndpoint(endpoint)
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.[\d.]+$/.test(hostname)
}

function parseId(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new Exit(2, `${text} is not the number of a drive: kintsugi drive list shows them.`)
}

/** Seconds in milliseconds. Throws Exit. */
export function parseTimeout(text: string): number {
  const seconds = Number(text)
  if (/^\d{1,9}$/.test(text) && seconds > 0) return seconds * 1000
  throw new Exit(2, `--timeout ${text} is not a number of seconds.`)
}

function warn({ warnings }: DriveDone): void {
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`)
}

function say(done: DriveDone, { json }: AdminOptions): void {
  warn(done)
  print(json ? JSON.stringify(done) : done.sentence)
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
