// The power goes off at every operation while files are replaced and large shards are written: whatever drafts that
// leaves, the next start removes them, and nothing else.
import { prepareDigests } from '../../src/digest/prepare.ts'
import { silentLog } from '../../src/kit/log.ts'
import { removeDrafts } from '../../src/storage-node/drafts.ts'
import { Drive } from '../../src/storage-node/drive.ts'
import { DRIVE_FORMAT, formatDrive } from '../../src/storage-node/drive-format.ts'
import { DumpWriter } from '../../src/storage-node/dump/dump-files.ts'
import { ROOT_CREDENTIALS_FILE } from '../../src/storage-node/root-credentials.ts'
import { ShardStore } from '../../src/storage-node/shard-store.ts'
import { replaceSmallFile } from '../../src/storage-node/small-file.ts'
import { STATE_COPY_FILE } from '../../src/storage-node/state-copy.ts'
import { SCRUB_POSITION_FILE } from '../../src/storage-node/upkeep/scrub-position.ts'
import { putShard, sampleShard } from '../contracts/shard-samples.ts'
import { Seeded } from '../support/seeded.ts'
import { CrashPoints } from './crash-points.ts'
import { ForgetfulMachine } from './forgetful-machine.ts'

const PATH = '/drive'
const MARKER = { format: DRIVE_FORMAT, clusterId: 'test', driveId: 7, uuid: 'seven', createdMs: 1 }
const DRAFT = /\.tmp$|\/draft-|\/big\/tmp\/|\.aside/

/** As a start does it. */
async function start({ world, levels }: ForgetfulMachine) {
  const { openLevel } = levels
  const drive = await Drive.open(world, PATH, MARKER, { openLevel })
  await removeDrafts(world, drive)
  const store = await ShardStore.open(
    drive,
    { world, log: silentLog, openLevel },
    { segmentShardBytes: 1000 },
  )
  return { drive, store }
}

async function run(machine: ForgetfulMachine): Promise<void> {
  const { world } = machine
  const { drive, store } = await start(machine)
  for (const name of [ROOT_CREDENTIALS_FILE, SCRUB_POSITION_FILE, STATE_COPY_FILE])
    await replaceSmallFile(world, drive, { name, bytes: Buffer.from(name) })
  machine.disk.flip(`${PATH}/format.json`, 3)
  await drive.mendMarker()
  await putShard(store, sampleShard(new Seeded(1), 5000, 512))
  const dump = await DumpWriter.open([drive], 0, world)
  await dump.publish({ partition: 0, takenMs: 1_700_000_000_000 })
  await store.close()
  await drive.close()
}

function filesOf({ disk }: ForgetfulMachine): string[] {
  return disk.files(PATH)
}

await prepareDigests()
const machine = new ForgetfulMachine(1)
await machine.disk.makeDirectory(PATH)
await machine.disk.syncDirectory('/')
await formatDrive(machine.world, PATH, MARKER)
const points = new CrashPoints(machine, { seed: 1, dense: true, known: () => undefined })
await run(machine)
points.stop()

const left = new Set<string>()
const faults: string[] = []
for (const { at, machine: crashed } of points.points) {
  const before = filesOf(crashed)
  for (const path of before) if (DRAFT.test(path)) left.add(path)
  const { drive, store } = await start(crashed)
  await store.close()
  await drive.close()
  const after = new Set(filesOf(crashed))
  const stay = [...after].filter((path) => DRAFT.test(path))
  const lost = before.filter((path) => !DRAFT.test(path) && !after.has(path))
  // An empty segment says nothing.
  const missed = lost.filter((path) => !path.endsWith('.seg'))
  if (stay.length + missed.length > 0) faults.push(`${at}: ${stay} stay, ${missed} are lost`)
}

// Only now: tap follows every promise from the moment it is imported.
const { default: t } = await import('tap')
t.same(faults.slice(0, 5), [])
t.same(
  [...left].map((path) => path.replace(/^\/drive\//, '')).sort(),
  [
    'big/tmp/1',
    'coordinator.copy.tmp',
    'dump/draft-0',
    'format.json.tmp',
    'root-credentials.tmp',
    'scrub-position.tmp',
  ],
  'crashes leave drafts of every kind',
)
