// Real logs of three nodes, written under reigns that change, one of which rots; the rows of all are gone. What was acknowledged is in what the
// logs lead on to, and what was deleted is not.
import t from 'tap'
import { BEGINNING, decodeBatch, type LogEntry } from '../../../../src/metadata/log/entry.ts'
import { type LeftLog, leadOn } from '../../../../src/metadata/replication/left-logs.ts'
import { parseReplicaId } from '../../../../src/metadata/replication/replica-id.ts'
import { RecordKind } from '../../../../src/storage-node/metalog/record.ts'
import { parseLogFileName, readSealedFile } from '../../../../src/storage-node/metalog/scan-file.ts'
import { EVERYTHING } from '../../../crash/forgetful-machine.ts'
import { Seeded } from '../../../support/seeded.ts'
import { ReplicaCluster } from './replica-cluster.ts'

const P = 2
const LOG = '/drive/metalog'
const IDS = [1, 2, 3]
const FIRST = Number(process.env.SEED ?? 1)
const SEEDS = Number(process.env.SEEDS ?? 8)

/** What was acknowledged: values by key, undefined where it was deleted. */
type Acknowledged = Map<string, string | undefined>

/** Writes under a primary that was not cut off, while one that was goes on for nothing. */
async function write(cluster: ReplicaCluster, known: Acknowledged, random: Seeded): Promise<void> {
  const before = cluster.reignOf(P)
  cluster.cut.clear()
  const cut = random.below(4)
  if (cut > 0) cluster.cut.add(cut)
  const serves = (): boolean => {
    const node = [...cluster.nodes.values()].find(({ life }) => {
      return life?.reigns.get(P) === cluster.reignOf(P)
    })
    return cluster.reignOf(P) !== undefined && node?.id !== cut
  }
  // Nobody hears of these: whether they hold is seen later.
  if (!serves()) before?.log.append([change('never', 'x')]).catch(() => undefined)
  await cluster.until('another one leads', serves)
  const reign = cluster.reignOf(P)!
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const key = `k${random.below(6)}`
    const value = random.below(3) === 0 ? undefined : `${known.size}-${random.below(1000)}`
    await cluster.wait(reign.log.append([change(key, value)]))
    known.set(key, value)
  }
}

function change(key: string, value: string | undefined) {
  return { key: Buffer.from(key), value: value === undefined ? undefined : Buffer.from(value) } as
    | { key: Uint8Array; value: Uint8Array }
    | { key: Uint8Array; value: undefined }
}

/** Changes a byte of one entry on the drive of a node. */
function rot(cluster: ReplicaCluster, id: number, random: Seeded): void {
  const { disk } = cluster.node(id).machine
  const entries = disk.files(LOG).flatMap((path) => {
    const { salt } = parseLogFileName(path.slice(LOG.length + 1))!
    return readSealedFile(disk.bytesOf(path), salt)
      .filter(({ record }) => record.kind === RecordKind.ReplicatedEntry)
      .map(({ at }) => ({ path, at }))
  })
  const { path, at } = entries[random.below(entries.length)]!
  disk.flip(path, at + random.below(64))
}

async function logOf(cluster: ReplicaCluster, id: number): Promise<LeftLog<LogEntry>> {
  const { replicas } = cluster.decisions.get(P)!
  const replica = replicas.find((one) => parseReplicaId(one)!.driveId === id)!
  const entries: LogEntry[] = []
  let isWhole = false
  for await (const page of cluster.host(id).readLog(replica, 0)) {
    isWhole = page.isWhole
    entries.push(...page.entries)
  }
  return { isWhole, entries }
}

function rowsOf(entries: readonly LogEntry[]): Acknowledged {
  const rows: Acknowledged = new Map()
  for (const { batch } of entries)
    for (const { key, value } of decodeBatch(batch))
      rows.set(Buffer.from(key).toString(), value && Buffer.from(value).toString())
  return rows
}

t.test('one log rots, and no rows are left', { timeout: 300_000 }, async (t) => {
  let torn = 0
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    const random = new Seeded(seed)
    const cluster = await ReplicaCluster.make(3, seed)
    await cluster.found(P, IDS)
    await cluster.until('it is served', () => cluster.reignOf(P) !== undefined)
    const known: Acknowledged = new Map()
    for (let round = 0; round < 6; round += 1) await write(cluster, known, random)
    for (const id of IDS) cluster.crash(id, EVERYTHING)
    const rotten = 1 + random.below(3)
    rot(cluster, rotten, random)
    for (const id of IDS) cluster.node(id).machine.levels.clear('/drive/meta.db')
    for (const id of IDS) await cluster.start(id)
    const logs = await Promise.all(IDS.map((id) => logOf(cluster, id)))
    const wholes = logs.filter(({ isWhole }) => isWhole)
    if (wholes.length < 3) torn += 1
    const { entries, committed } = leadOn(BEGINNING, logs)
    const rows = rowsOf(entries)
    for (const [key, value] of known) t.equal(rows.get(key), value, `seed ${seed}: ${key}`)
    t.ok(committed <= (entries.at(-1)?.sequence ?? 0), 'nothing is said to be missing')
    await cluster.close()
  }
  t.ok(torn > 0, `${torn} logs were torn`)
})
