// The real LevelDB as crashes and rot leave it, for its I/O is native and passes by the forgetful disk: its log cut at
// any byte, flipped bytes in any of its files, files and the directory gone, in copies made while a store wrote.
// SEED=7 runs one history alone; HISTORIES=100 runs more (npm run nightly).
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { silentLog } from '../../src/kit/log.ts'
import { realWorld } from '../../src/kit/world.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive } from '../../src/storage-node/drive-format.ts'
import { ShardStore } from '../../src/storage-node/shard-store.ts'
import { judgeShard, putShard, type SampleShard, sampleShard } from '../contracts/shard-samples.ts'
import { Seeded } from '../support/seeded.ts'
import {
  type Bed,
  drivePath,
  killAndReopen,
  Model,
  makeBed,
  SMALL,
} from '../unit/storage-node/metadata-testbed.ts'

const world = realWorld()
const MARKER = { format: DRIVE_FORMAT, clusterId: 'test', driveId: 7, uuid: 'u', createdMs: 1 }
const OPTIONS = { segmentBytes: 16 * 1024, segmentShardBytes: 2500, graceMs: 0 }
const { SEED, HISTORIES, FROM } = process.env
const FIRST = Number(SEED || FROM || 1)
const SEEDS = Array.from({ length: SEED ? 1 : Number(HISTORIES ?? 3) }, (_, index) => FIRST + index)
const STATES_PER_COPY = 8

/** What is known of every shard, as in shard-script.ts. */
type Known = Map<SampleShard, 'committed' | 'deleted'>

interface Copy {
  path: string
  known: Known
}

interface Opened {
  store: ShardStore
  close(): Promise<void>
}

async function open(path: string): Promise<Opened> {
  const drive = await Drive.open(world, path, MARKER)
  const store = await ShardStore.open(drive, { world, log: silentLog }, OPTIONS)
  const close = async (): Promise<void> => {
    await store.close()
    await drive.close()
  }
  return { store, close }
}

/** Writes and deletes for a while, and copies the drive now and then while it is open: as a killed process leaves it. */
async function writeHistory(root: string, seeded: Seeded): Promise<Copy[]> {
  const path = join(root, 'drive')
  await world.disk.makeDirectory(path)
  await formatDrive(world, path, MARKER)
  const known: Known = new Map()
  const copies: Copy[] = []
  let opened = await open(path)
  for (let round = 1; round <= 9; round += 1) {
    await change(opened.store, known, seeded)
    if (round % 3 === 0) {
      const copy = { path: join(root, `copy${round}`), known: new Map(known) }
      cpSync(path, copy.path, { recursive: true })
      copies.push(copy)
    }
    if (round % 4 !== 0) continue
    // A reopened LevelDB has a table beside its log.
    await opened.close()
    opened = await open(path)
  }
  await opened.close()
  return copies
}

async function change(store: ShardStore, known: Known, seeded: Seeded): Promise<void> {
  const shards = Array.from({ length: 8 }, () => {
    const bytes = seeded.pick([0, 100, 1000, 2400, 3000])
    return sampleShard(seeded, bytes + seeded.below(90), 512)
  })
  await Promise.all(shards.map((shard) => putShard(store, shard)))
  for (const shard of shards) known.set(shard, 'committed')
  for (const [shard, state] of known) {
    if (state !== 'committed' || seeded.below(3) > 0) continue
    known.set(shard, 'deleted')
    await store.deleteShard(shard.description.id)
  }
  await store.compactOnce()
}

/** Does something to the files of a LevelDB; says what. */
async function mangle(directory: string, seeded: Seeded): Promise<string> {
  const names = readdirSync(directory).filter((name) => name !== 'LOCK')
  const dice = seeded.below(10)
  if (dice === 0) {
    rmSync(directory, { recursive: true })
    return 'all gone'
  }
  if (dice < 4) return cutLog(directory, seeded)
  const kinds = [/^\d+\.log$/, /^\d+\.ldb$/, /^MANIFEST/, /^CURRENT$/]
  const pattern = seeded.pick(kinds)
  const name = seeded.pick(names.filter((each) => pattern.test(each)))
  if (name === undefined) return 'nothing'
  const path = join(directory, name)
  if (dice === 4) {
    rmSync(path)
    return `${name} gone`
  }
  const bytes = await readFile(path)
  for (let flips = 1 + seeded.below(4); flips > 0 && bytes.length > 0; flips -= 1) {
    bytes[seeded.below(bytes.length)]! ^= 1 << seeded.below(8)
  }
  await writeFile(path, bytes)
  return `${name} flipped`
}

/** Cuts the newest log of a LevelDB at any byte from `from` on. */
function cutLog(directory: string, seeded: Seeded, from = 0): string {
  const [name] = logsOf(directory).reverse()
  if (name === undefined) return 'nothing'
  const path = join(directory, name)
  const length = statSync(path).size
  const to = from + seeded.below(Math.max(1, length - from + 1))
  truncateSync(path, Math.min(length, to))
  return `${name} cut from ${length} to ${to}`
}

function logsOf(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.log'))
    .sort()
}

async function findFaults(store: ShardStore, known: Known): Promise<string[]> {
  const faults: string[] = []
  for (const [shard, state] of known) {
    const judged = await judgeShard(store, shard)
    const fine = judged === 'whole' || (judged === 'missing' && state === 'deleted')
    if (!fine) faults.push(`a ${state} shard of ${shard.bytes.length} bytes is ${judged}`)
  }
  return faults
}

/** Opens a mangled copy, writes to it and opens it again. */
async function lookAt({ path, known }: Copy, seeded: Seeded): Promise<string[]> {
  const first = await open(path)
  const faults = await findFaults(first.store, known)
  const now = new Map(known)
  await change(first.store, now, seeded)
  await first.close()
  const second = await open(path)
  const later = await findFaults(second.store, now)
  await second.close()
  return [...faults, ...later.map((fault) => `later: ${fault}`)]
}

for (const seed of SEEDS) {
  t.test(`shards.db, seed ${seed}`, async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'kintsugi-leveldb-'))
    t.teardown(() => rmSync(root, { recursive: true, force: true }))
    const seeded = new Seeded(Math.imul(seed, 0x9e37_79b1))
    for (const copy of await writeHistory(root, seeded)) {
      for (let state = 0; state < STATES_PER_COPY; state += 1) {
        const mangled = { path: join(root, 'mangled'), known: copy.known }
        cpSync(copy.path, mangled.path, { recursive: true })
        const what = await mangle(join(mangled.path, 'shards.db'), seeded)
        t.same(await lookAt(mangled, seeded), [], what)
        rmSync(mangled.path, { recursive: true })
      }
    }
  })
}

/** How long the newest log of every drive's meta.db is: all of it synced, when a marker was just written. */
function logLengths(bed: Bed): Map<number, { name: string; bytes: number }> {
  const lengths = new Map<number, { name: string; bytes: number }>()
  for (const id of bed.drives.keys()) {
    const directory = join(drivePath(bed.root, id), 'meta.db')
    const name = logsOf(directory).at(-1) ?? ''
    lengths.set(id, { name, bytes: name === '' ? 0 : statSync(join(directory, name)).size })
  }
  return lengths
}

async function changeRows(test: Test, seed: number): Promise<void> {
  const seeded = new Seeded(Math.imul(seed, 0x9e37_79b1))
  const model = new Model(seed)
  const layout = { driveCount: 3, replicaCount: 3, partitionCount: 2 }
  // Markers come when this test wants them: then what is synced is known.
  const limits = { ...SMALL, markerMs: 3_600_000, markerBytes: 1024 ** 3 }
  let bed = await makeBed(test, layout, limits)
  for (let round = 0; round < 4; round += 1) {
    for (let step = 0; step < 20; step += 1) await model.change(bed)
    await bed.host.mark()
    const synced = logLengths(bed)
    for (let step = 0; step < 30; step += 1) await model.change(bed)
    const done: string[] = []
    // The power fails for all replicas at once, and each loses another part of what was not synced.
    bed = await killAndReopen(test, bed, async (root) => {
      for (const [id, { name, bytes }] of synced) {
        const directory = join(drivePath(root, id), 'meta.db')
        const from = logsOf(directory).at(-1) === name ? bytes : 0
        done.push(cutLog(directory, seeded, from))
      }
    })
    test.same(await model.differences(bed), [], done.join(', '))
  }
  await bed.close()
}

for (const seed of SEEDS) {
  t.test(`meta.db, its log cut on all replicas, seed ${seed}`, (t) => changeRows(t, seed))
}
