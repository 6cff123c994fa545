// The coordinator's state, lost on all drives, made again for `kintsugi recover`: gathers what is left, has
// placement/remake-state.ts decide, and writes the first decision of a new history. A state that exists is never touched.
import { resolve } from 'node:path'
import { Exit } from '../exit.ts'
import { ClosingStack } from '../kit/closing-stack.ts'
import { type ErasureCode, nameCode } from '../kit/erasure-code.ts'
import { listIfThere } from '../kit/files.ts'
import type { Log } from '../kit/log.ts'
import { type Uid, uidTimeMs } from '../kit/uid.ts'
import type { World } from '../kit/world.ts'
import { decodeLabel } from '../metadata/label.ts'
import type { BucketId } from '../metadata/records.ts'
import type { ClusterState } from '../placement/coordinator.ts'
import type { NewDrive } from '../placement/coordinator-changes.ts'
import { FileCoordinator } from '../placement/coordinator-file.ts'
import { coordinatorPath, readHistory } from '../placement/coordinator-history.ts'
import { type BucketTrace, type RemadeState, remakeState } from '../placement/remake-state.ts'
import { Drive } from '../storage-node/drive.ts'
import { inspectDrive } from '../storage-node/drive-format.ts'
import { DriveLocked } from '../storage-node/drive-lock.ts'
import {
  DumpDamaged,
  type FoundDump,
  findDumps,
  readDump,
} from '../storage-node/dump/dump-files.ts'
import type { DumpHead } from '../storage-node/dump/dump-format.ts'
import { isJoining } from '../storage-node/joining.ts'
import { type FoundReplica, findReplicas } from '../storage-node/metadata-host/find-replicas.ts'
import { type FoundDrive, isDispensable, nameDrive } from '../storage-node/start-plan.ts'
import { readStateCopy } from '../storage-node/state-copy.ts'
import { weighDrives } from './drive-weight.ts'
import { deepestMessage } from './gather-drives.ts'
import { ReadShards } from './read-shards.ts'
import { inspectOne } from './start-store.ts'

/** What is asked for. */
export interface RemakeRequest {
  directories: readonly string[]
  /** False: only say what would be made. */
  write: boolean
  /** Drives of the store that are not here are gone for good, and what only they knew with them. */
  withoutMissing: boolean
  region: string
}

/** What became of the coordinator's state, for people and programs. */
export interface RemadeCoordinator extends Omit<RemadeState, 'state'> {
  /** What it begins with. `shards`: there was no copy of it. */
  source: 'copy' | 'dump' | 'shards'
  /** The number of the decision that it begins with. */
  sourceEpoch?: number
  /** When that was, where it is known. */
  sourceMs?: number
  code: string
  drives: number[]
  missingDrives: number[]
  buckets: string[]
  /** There is no copy of the keys that wrap those of encrypted objects. */
  lacksKeys: boolean
}

interface RemakeParts {
  world: World
  log: Log
}

interface Source {
  kind: 'copy' | 'dump'
  state: ClusterState
  takenMs?: number
}

interface Scanned {
  buckets: Map<BucketId, BucketTrace>
  codes: { code: ErasureCode; shards: number }[]
  epoch: number
}

/** Makes the state again when no decision is left on any of these drives; undefined when there is one. Throws Exit. */
export async function remakeCoordinator(
  request: RemakeRequest,
  parts: RemakeParts,
): Promise<RemadeCoordinator | undefined> {
  const found = await findMembers(request, parts)
  if (found === undefined) return undefined
  const opened = new ClosingStack()
  return await opened.guard(async () => {
    const drives: Drive[] = []
    for (const one of found) {
      const drive = await lock(one, parts)
      opened.defer(() => drive.close())
      drives.push(drive)
    }
    const made = await remakeOn(drives, request, parts)
    await opened.close()
    return made
  })
}

/** The drives, when all of them can be read and none has a decision. */
async function findMembers(
  { directories, withoutMissing }: RemakeRequest,
  { world }: RemakeParts,
): Promise<FoundDrive[] | undefined> {
  const found: FoundDrive[] = []
  let broken: string | undefined
  let unread: string | undefined
  for (const path of new Set(directories.map((directory) => resolve(directory)))) {
    const one = await inspectOne(path, world)
    if (one.kind === 'broken') broken = `${path} can not be recognised (${one.what})`
    if (one.kind !== 'formatted') continue
    const history = await readHistory(world, path).catch((error: unknown) => {
      unread = `the decisions on ${path} can not be read (${deepestMessage(error)})`
    })
    if (history === undefined) continue
    if (history.decisions.length > 0) return undefined
    // One that was not added to the end has nothing, and is added anew.
    if (!(await isJoining(path, world))) found.push({ path, marker: one.marker })
  }
  if (unread !== undefined) throw new Exit(4, `${unread}, ${GIVE_UP_BY_HAND}`)
  const clusters = new Set(found.map(({ marker }) => marker.clusterId))
  const ids = new Set(found.map(({ marker }) => marker.driveId))
  // Drives of several stores, copies, a store that was never made to the end: a start says what is wrong.
  if (clusters.size !== 1 || ids.size < found.length) return undefined
  if (await holdNothing(found, world)) return undefined
  if (broken === undefined || withoutMissing) return found
  throw new Exit(
    4,
    `${broken}, and may have a decision: put its format.json right first. If it is gone for good, add --without-missing.`,
  )
}

const GIVE_UP_BY_HAND =
  'and may be the last: make them readable first. If that drive is gone for good, take its directory away and add --without-missing.'

/** Whether the drives are those of a store that was never made to the end: a start makes it then. */
async function holdNothing(found: readonly FoundDrive[], world: World): Promise<boolean> {
  for (const { path } of found)
    for (const name of ['metalog', 'seg', 'big'])
      if ((await listIfThere(world, `${path}/${name}`)).length > 0) return false
  return true
}

async function lock({ path, marker }: FoundDrive, { world }: RemakeParts): Promise<Drive> {
  try {
    return await Drive.open(world, path, marker)
  } catch (error) {
    if (error instanceof DriveLocked) throw new Exit(3, `${error.message}.`, { cause: error })
    throw new Exit(4, `${path} can not be opened: ${(error as Error).message}`, { cause: error })
  }
}

async function remakeOn(
  drives: readonly Drive[],
  request: RemakeRequest,
  parts: RemakeParts,
): Promise<RemadeCoordinator> {
  const { world } = parts
  const source = await findSource(drives, request, parts)
  const missing = source ? await missingDrives(source.state, drives, request, parts) : []
  const replicas = (await Promise.all(drives.map((drive) => replicasOn(drive, parts)))).flat()
  if (source === undefined && replicas.length > 0) throw new Exit(4, noSeed(replicas))
  const { scanned, refuseTooFew } = await scanShards(drives, parts)
  const paths = drives.map(({ path }) => path)
  const weights = await weighDrives(paths, world)
  const here = drives.map(
    ({ id, path, marker: { uuid } }, index): NewDrive => ({
      id,
      uuid,
      path,
      weight: weights[index]!,
    }),
  )
  const remade = remakeState(
    {
      ...{ clusterId: drives[0]!.marker.clusterId, drives: here, ...scanned },
      ...(source ? { source: source.state } : {}),
      replicas: replicas.map(({ reached, ...replica }) => ({ ...replica, epoch: reached.epoch })),
      epoch: Math.max(scanned.epoch, await lastEpochNamed(drives, world)),
      ...{ nowMs: world.clock.now(), region: request.region },
    },
    world.random,
  )
  refuseTooFew(remade.state)
  if (request.write) await write(remade.state, drives, world)
  return describe(remade, { source, missing, drives })
}

/** The newest state of all copies and dumps. Throws Exit where the only copy may be one that can not be read. */
async function findSource(
  drives: readonly Drive[],
  { withoutMissing }: RemakeRequest,
  { world, log }: RemakeParts,
): Promise<Source | undefined> {
  const found: Source[] = []
  const unread: string[] = []
  for (const drive of drives) {
    try {
      const state = await readCopyOn(drive, world)
      if (state) found.push({ kind: 'copy', state })
    } catch (error) {
      const { path } = drive
      const reason = deepestMessage(error)
      log.warn({ path, reason }, 'the copy of the state of the store on a drive can not be read')
      unread.push(path)
    }
  }
  if (found.length === 0 && unread.length > 0 && !withoutMissing)
    throw new Exit(
      4,
      `no copy of the state of the store is left but that on ${unread.join(', ')}, which can not be read: make it readable first. To go on without it, add --without-missing.`,
    )
  for (const dump of await findDumps(drives, world)) {
    const head = await readHead(dump, { world, log })
    if (head) found.push({ kind: 'dump', state: head.state, takenMs: head.takenMs })
  }
  const { clusterId } = drives[0]!.marker
  const [newest] = found
    .filter(({ state }) => state.clusterId === clusterId)
    .sort((left, right) => right.state.epoch - left.state.epoch)
  return newest
}

/** A bad sector in this one file must not keep everything else on the drive from being read. */
async function readCopyOn(drive: Drive, world: World): Promise<ClusterState | undefined> {
  const apart = drive.apart()
  try {
    return await readStateCopy(apart, world)
  } finally {
    await apart.close()
  }
}

/** The log of a drive may have the last word, so none is passed over. */
async function replicasOn(drive: Drive, parts: RemakeParts): Promise<FoundReplica[]> {
  try {
    return await findReplicas(drive, parts)
  } catch (error) {
    const why = `the replicas of metadata on ${drive.path} can not be read (${deepestMessage(error)})`
    throw new Exit(4, `${why}, ${GIVE_UP_BY_HAND}`, { cause: error })
  }
}

async function readHead(
  dump: FoundDump,
  { world, log }: RemakeParts,
): Promise<DumpHead | undefined> {
  try {
    for await (const chunk of readDump(dump, world))
      return chunk.kind === 'head' ? chunk.head : undefined
  } catch (error) {
    if (!(error instanceof DumpDamaged)) throw error
    log.warn({ partition: dump.partition, takenMs: dump.takenMs }, 'the head of a dump is damaged')
  }
  return undefined
}

/** Drives that the state names and that are not here: they may have a decision. Throws Exit unless they are gone for good. */
async function missingDrives(
  { map }: ClusterState,
  drives: readonly Drive[],
  { withoutMissing }: RemakeRequest,
  { world }: RemakeParts,
): Promise<number[]> {
  const missing = map.drives.filter(
    ({ uuid }) => !drives.some(({ marker }) => marker.uuid === uuid),
  )
  for (const drive of missing) {
    const twin = drives.find(({ id }) => id === drive.id)
    if (twin) throw new Exit(4, `${twin.path} is not the ${nameDrive(drive)} of this store.`)
    const at = drive.path ? await inspectDrive(world, drive.path).catch(() => undefined) : undefined
    if (at?.kind === 'formatted' && at.marker.uuid === drive.uuid)
      throw new Exit(4, `${drive.path} is a drive of this store: give it as well.`)
  }
  const needed = missing.filter((drive) => !isDispensable(drive))
  if (needed.length === 0 || withoutMissing) return missing.map(({ id }) => id)
  throw new Exit(
    4,
    `no decision of the store is left on these drives, and ${needed.map(nameDrive).join(', ')} may have one: bring that back first. If it is gone for good, add --without-missing.`,
  )
}

function noSeed(replicas: readonly FoundReplica[]): string {
  const partitions = [...new Set(replicas.map(({ partition }) => partition))]
  return `rows of ${partitions.length} metadata partitions are here, but neither a decision nor a copy nor a dump: without the seed of the map no key is found in them. Change nothing on the drives, and look for a copy of coordinator/, coordinator.copy or dump/ of any drive.`
}

/** What all shards say of buckets, codes and epochs; `refuseTooFew` as of ReadShards, for the state that is made of it. */
async function scanShards(
  drives: readonly Drive[],
  parts: RemakeParts,
): Promise<{ scanned: Scanned; refuseTooFew: (state: ClusterState) => void }> {
  const opened = new ClosingStack()
  return await opened.guard(async () => {
    const shards = await ReadShards.open(drives, parts, opened)
    const scanned = await gatherTraces(shards)
    await opened.close()
    return { scanned, refuseTooFew: (state) => shards.refuseTooFew(state) }
  })
}

async function gatherTraces(shards: ReadShards): Promise<Scanned> {
  const buckets = new Map<BucketId, BucketTrace & { last: string }>()
  const codes = new Map<string, { code: ErasureCode; shards: number }>()
  let epoch = 0
  for await (const description of shards.all((store) => store.scan())) {
    const { id, bucketId, code, mapEpoch, metadata } = description
    epoch = Math.max(epoch, mapEpoch)
    const label = decodeLabel(metadata)
    if (label?.attributes?.storageClass !== 'REDUCED_REDUNDANCY') {
      const count = codes.get(nameCode(code)) ?? { code, shards: 0 }
      codes.set(nameCode(code), { ...count, shards: count.shards + 1 })
    }
    const versioned = label?.role.kind === 'object' ? label.role.versioned : undefined
    note(buckets, { bucketId, uid: id.uid, versioned })
  }
  return { buckets, codes: [...codes.values()], epoch }
}

/** `versioned`: undefined of what is no object. */
function note(
  buckets: Map<BucketId, BucketTrace & { last: string }>,
  { bucketId, uid, versioned }: { bucketId: BucketId; uid: Uid; versioned: boolean | undefined },
): void {
  const atMs = uidTimeMs(uid)
  const trace = buckets.get(bucketId) ?? {
    ...{ firstMs: atMs, lastMs: atMs, versioned: false, everVersioned: false, last: '' },
  }
  trace.firstMs = Math.min(trace.firstMs, atMs)
  trace.lastMs = Math.max(trace.lastMs, atMs)
  if (versioned !== undefined && uid > trace.last) Object.assign(trace, { last: uid, versioned })
  trace.everVersioned ||= versioned === true
  buckets.set(bucketId, trace)
}

/** By the names of files that rotted. */
async function lastEpochNamed(drives: readonly Drive[], world: World): Promise<number> {
  let last = 0
  for (const { path } of drives) last = Math.max(last, ...(await readHistory(world, path)).corrupt)
  return last
}

/** What rotted is put aside for people to look at, then all drives get the decision. Can be begun again at any point. */
async function write(state: ClusterState, drives: readonly Drive[], world: World): Promise<void> {
  const { disk } = world
  for (const drive of drives) {
    const directory = coordinatorPath(drive.path)
    const aside = `${directory}.aside`
    const isRotten = (await listIfThere(world, directory)).length > 0
    if (isRotten && (await disk.stat(aside)) === undefined)
      await drive.run(() => disk.rename(directory, aside))
    if ((await disk.stat(directory)) === undefined)
      await drive.run(() => disk.makeDirectory(directory))
    await drive.syncDirectory(drive.path)
  }
  const coordinator = await FileCoordinator.create(state, { world, drives })
  await coordinator.close()
}

function describe(
  { state, ...made }: RemadeState,
  found: { source: Source | undefined; missing: number[]; drives: readonly Drive[] },
): RemadeCoordinator {
  const { source } = found
  return {
    ...made,
    source: source?.kind ?? 'shards',
    ...(source ? { sourceEpoch: source.state.epoch } : {}),
    ...(source?.takenMs === undefined ? {} : { sourceMs: source.takenMs }),
    code: nameCode(state.map.code),
    drives: found.drives.map(({ id }) => id),
    missingDrives: found.missing,
    buckets: Object.keys(state.buckets),
    lacksKeys: state.wrappingKeys === undefined,
  }
}
