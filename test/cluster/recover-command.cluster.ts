// The last resort of a cluster, as its operator uses it: two of four machines are lost for good with the replicas on them. Everything that
// was acknowledged is read again, also when the command was killed, and when it runs twice at once.
import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { ClusterRecoverOutcome } from '../../src/cluster/recover-cluster.ts'
import type { PartitionRecord } from '../../src/placement/etcd/leadership.ts'
import { DevCluster, KnownObjects, openClients, type Remembered } from '../support/dev-cluster.ts'

const KINTSUGI = fileURLToPath(new URL('../../../bin/kintsugi.cjs', import.meta.url))
// Of at least a byte: what is empty has no shard that could tell of it.
const SIZES = [1, 3_000, 200_000, 3_000_000]

interface Ended {
  code: number | null
  outcome: ClusterRecoverOutcome | undefined
  complaint: string
}

/** Runs `cluster recover`; `kill` resolves when it is to be ended as by a loss of power. */
async function recover(
  { etcd }: Remembered,
  words: readonly string[],
  kill?: (ended: AbortSignal) => Promise<void>,
): Promise<Ended> {
  const all = ['cluster', 'recover', '--etcd', etcd.url, '--json', ...words]
  const child = spawn(process.execPath, [KINTSUGI, ...all], { env: { PATH: process.env.PATH } })
  const [said, complaint] = [[] as Buffer[], [] as Buffer[]]
  child.stdout.on('data', (bytes: Buffer) => said.push(bytes))
  child.stderr.on('data', (bytes: Buffer) => complaint.push(bytes))
  const ended = new AbortController()
  kill?.(ended.signal).then(() => child.kill('SIGKILL'))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  ended.abort()
  const text = Buffer.concat(said).toString()
  const outcome = text === '' ? undefined : (JSON.parse(text) as ClusterRecoverOutcome)
  return { code, outcome, complaint: Buffer.concat(complaint).toString() }
}

/** Names of the fences that there are: a recovery is under way behind each, or was. */
async function fencesIn({ etcd }: Remembered): Promise<string[]> {
  const [from, to] = ['/kintsugi/now/partition/', '/kintsugi/now/partition0']
  const body = JSON.stringify({ key: btoa(from), range_end: btoa(to) })
  const answer = await fetch(`${etcd.url}/v3/kv/range`, { method: 'POST', body })
  const { kvs = [] } = (await answer.json()) as { kvs?: { value: string }[] }
  const records = kvs.map(({ value }) => JSON.parse(atob(value)) as PartitionRecord)
  return records.flatMap(({ isFenced, id }) => (isFenced ? [id] : []))
}

t.test('two of four machines are lost for good', async (t) => {
  const dev = await DevCluster.make(t, ['--nodes', '4'])
  const cluster = await dev.up()
  const remembered = await dev.remembered()
  const objects = new KnownObjects(openClients(t, cluster), 'recovered')
  await objects.makeBucket()
  for (const name of ['a', 'b', 'c', 'd', 'e']) await objects.write(name, SIZES)
  const whole = await recover(remembered, ['--yes'])
  t.match(whole, { code: 0, outcome: { partitions: [] } }, 'nothing is lost yet')

  const dead = remembered.nodes.slice(0, 2)
  for (const { pid } of dead) process.kill(pid, 'SIGKILL')
  for (const { drives } of dead)
    for (const drive of drives) await rm(drive, { recursive: true, force: true })

  const plan = await recover(remembered, [])
  t.equal(plan.code, 0)
  const { partitions = [], missing = [] } = plan.outcome ?? {}
  t.ok(partitions.length > 0)
  t.ok(partitions.every(({ way }) => way === 'waits'))
  t.same([...new Set(missing.map(({ node }) => node))].sort(), dead.map(({ id }) => id).sort())
  const gone = missing.map(({ driveId }) => driveId)
  const named = ['--yes', '--without-missing', gone.join(',')]
  const { code } = await recover(remembered, ['--yes'])
  t.equal(code, 4, 'what is missing is waited for')
  t.equal((await recover(remembered, ['--yes', '--without-missing', `${gone[0]}`])).code, 4)
  const [open] = partitions
    .flatMap(({ replicas }) => replicas)
    .flatMap(({ replica, standing }) => (standing === 'lives' ? [replica.split('-')[0]!] : []))
  const other = await recover(remembered, ['--yes', '--without-missing', `${gone},${open}`])
  t.match(other, { code: 2, complaint: /can be read/ })
  t.same(await fencesIn(remembered), [], 'nothing was changed')

  // Killed as soon as it changed something, and then again a little later.
  for (const laterMs of [0, 300]) {
    const before = await fencesIn(remembered)
    const isNew = async (): Promise<boolean> =>
      (await fencesIn(remembered)).some((id) => !before.includes(id))
    await recover(remembered, named, async (ended) => {
      while (!ended.aborted && !(await isNew())) await sleep(5)
      await sleep(laterMs)
    })
  }
  const both = await Promise.all([recover(remembered, named), recover(remembered, named)])
  for (const { code, complaint } of both)
    t.ok(code === 0 || (code === 1 && /changed by somebody else/.test(complaint)), `${code}`)
  // Where both looked and neither came first with all partitions, there is something left.
  let again = await recover(remembered, named)
  for (let tries = 0; tries < 3 && again.code !== 0; tries += 1)
    again = await recover(remembered, named)
  t.equal(again.code, 0, again.complaint)
  const end = await recover(remembered, [])
  t.match(end, { code: 0, outcome: { partitions: [] } }, 'all of them can be led')

  await objects.readAll(t, 'everything is there that was acknowledged')
  await objects.write('later', SIZES)
  await objects.readAll(t, 'and it goes on')
})
