// Whether drives have room for what is to move to them: an estimate, by the rows that there are and what is free now. A drain
// for which there plainly is none is refused before it begins; one that runs out of room later waits, as all moves do. Of a
// drive that takes the place of another it is said: nothing is lost where it is smaller, and the directory is a drive by then.
import { beforeDeadline } from '../kit/before-deadline.ts'
import { showBytes } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import type { World } from '../kit/world.ts'
import type { MetadataPartition } from '../metadata/contract.ts'
import type { ClusterMap } from '../placement/cluster-map.ts'
import { MoveBalance } from '../storage-node/upkeep/move-balance.ts'

/** What the estimate is made of. */
export interface DrainRoomParts {
  world: Pick<World, 'clock'>
  log: Log
  partitions: readonly Pick<MetadataPartition, 'scanBlobs'>[]
  /** The file system of a drive; undefined for one that is not here. */
  roomOf(driveId: number): DrainRoom | undefined
}

/** A file system: what lies on it, and how much more it takes. */
export interface DrainRoom {
  drives: readonly { id: number }[]
  left(use: 'move'): { bytes: number; reserveBytes: number } | undefined
}

/** Somebody waits for the answer: what was not counted by then is not in it, and may still turn out not to fit. */
const COUNT_MS = 20_000

const PAGE_BLOBS = 256

/** As many file systems as a sentence bears. */
const NAMED_MAX = 3

/** A file system that would get more than it takes. */
interface Lack {
  driveIds: number[]
  gets: number
  left: number
  reserve: number
}

/**
 * Why all that has to move once the map is `after` does not fit, in a sentence; undefined where it does, or nobody knows.
 * `what` is to be emptied: `drive 3`.
 */
export async function refuseForRoom(
  what: string,
  after: ClusterMap,
  parts: DrainRoomParts,
): Promise<string | undefined> {
  const balance = new MoveBalance(after)
  const isWhole = await countInTime(balance, parts)
  const lacks = findLacks(balance, after, parts)
  if (lacks.length === 0) return undefined
  const about = isWhole ? 'About' : 'At least'
  const named = lacks.slice(0, NAMED_MAX).map(sayLack)
  const more = lacks.length > NAMED_MAX ? [`${lacks.length - NAMED_MAX} more are alike`] : []
  return (
    `${what} can not be drained: the other drives have no room for it. ${about} ${showBytes(balance.bytes)} would ` +
    `be written to them: ${[...named, ...more].join('; ')}. Add a drive first, or delete something: its space is back ` +
    'once the grace of garbage is over.'
  )
}

/**
 * Why not all that has to move to a new drive fits on it, in a sentence; undefined where it does, or nobody knows. `map` names
 * the drive already.
 */
export async function warnOfRoom(
  driveId: number,
  map: ClusterMap,
  parts: DrainRoomParts,
): Promise<string | undefined> {
  const balance = new MoveBalance(map)
  await countInTime(balance, parts)
  const lack = findLacks(balance, map, parts).find(({ driveIds }) => driveIds.includes(driveId))
  if (lack === undefined) return undefined
  return `${sayLack(lack)}: what does not fit waits until there is room. Add a drive, or delete something.`
}

/** False when there was no time to count all. */
async function countInTime(balance: MoveBalance, parts: DrainRoomParts): Promise<boolean> {
  const ending = new AbortController()
  let isWhole = false
  const counting = countAll(balance, parts, ending.signal).then(
    () => {
      isWhole = true
    },
    (error) => parts.log.debug({ error: String(error) }, 'what a drive holds was not counted'),
  )
  await beforeDeadline(counting, COUNT_MS, parts.world)
  ending.abort()
  return isWhole
}

async function countAll(
  balance: MoveBalance,
  { partitions }: DrainRoomParts,
  signal: AbortSignal,
): Promise<void> {
  for (const partition of partitions) {
    for (let after: Uint8Array | undefined, more = true; more; ) {
      const page = await partition.scanBlobs(after, PAGE_BLOBS)
      if (signal.aborted) return
      for (const { blob } of page.references) balance.add(blob)
      after = page.after
      more = page.more
    }
  }
}

/** Directories on one file system share its room, and what moves between them takes none. */
function findLacks(
  balance: MoveBalance,
  { drives }: ClusterMap,
  { roomOf }: DrainRoomParts,
): Lack[] {
  const staying = drives.filter(({ state }) => state === 'active').map(({ id }) => id)
  const rooms = new Set(staying.map(roomOf))
  return [...rooms].flatMap((room) => {
    const left = room?.left('move')
    if (room === undefined || left === undefined) return []
    const here = room.drives.map(({ id }) => id)
    const gets = here.reduce((sum, id) => sum + balance.netOf(id), 0)
    if (gets <= 0 || gets <= left.bytes) return []
    const driveIds = here.filter((id) => staying.includes(id))
    return [{ driveIds, gets, left: Math.max(0, left.bytes), reserve: left.reserveBytes }]
  })
}

function sayLack({ driveIds, gets, left, reserve }: Lack): string {
  const name = driveIds.length === 1 ? `drive ${driveIds[0]}` : `drives ${driveIds.join(', ')}`
  return (
    `${name} would get ${showBytes(gets)} and has room for ${showBytes(left)}, as it counts as full for moves when less ` +
    `than ${showBytes(reserve)} is free`
  )
}
