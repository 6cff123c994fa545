// Entries that are longer than a file of the log: whatever was acknowledged behind them is there after a start.
import t, { type Test } from 'tap'
import { put, ReplicaCluster, read } from './replica-cluster.ts'

const P = 0
const OTHER = 1
const NODES = [1, 2, 3]

/** A partition with a long entry between short ones, after so many of another one on the same drives. */
async function written(others: number): Promise<{ cluster: ReplicaCluster; keys: string[] }> {
  const cluster = await ReplicaCluster.make(3, 7)
  for (const partition of [P, OTHER]) await cluster.found(partition, NODES)
  await cluster.until('both serve', () => [P, OTHER].every((one) => cluster.reignOf(one)))
  const keys: string[] = []
  const write = async (partition: number, key: string, bytes: number): Promise<void> => {
    const appended = cluster.reignOf(partition)!.log.append(put(key, 'x'.repeat(bytes)))
    await cluster.wait(appended)
    if (partition === P) keys.push(key)
  }
  for (let count = 0; count < 10; count += 1) await write(P, `before-${count}`, 4000)
  for (let count = 0; count < others; count += 1) await write(OTHER, `other-${count}`, 900)
  await write(P, 'long', 100_000)
  for (let count = 0; count < 10; count += 1) await write(P, `after-${count}`, 10)
  return { cluster, keys }
}

async function isWhole(t: Test, cluster: ReplicaCluster, keys: readonly string[]): Promise<void> {
  for (const id of NODES) await cluster.start(id)
  const isServed = () => {
    const reign = cluster.reignOf(P)
    return reign !== undefined && !cluster.dead.has(reign)
  }
  await cluster.until('it is served again', isServed)
  t.same(cluster.complaints, [])
  const reign = cluster.reignOf(P)!
  for (const key of keys) t.ok(await cluster.wait(read(reign, key)), `${key} is there`)
  await cluster.close()
}

for (const others of [0, 40]) {
  t.test(`what follows a long entry outlives a crash, ${others} others before it`, async (t) => {
    const { cluster, keys } = await written(others)
    for (const id of NODES) cluster.crash(id, () => false)
    await isWhole(t, cluster, keys)
  })
}

t.test('what follows a long entry outlives a clean stop', async (t) => {
  const { cluster, keys } = await written(0)
  for (const id of NODES) await cluster.stop(id)
  await isWhole(t, cluster, keys)
})
