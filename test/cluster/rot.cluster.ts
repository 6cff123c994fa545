// Bytes that rot on the drives of two of six nodes, all of them processes: a heal that is asked for finds and mends every one, and the
// objects are right afterwards, also when the two other nodes are gone that may be.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ClusterStatus } from '../../src/gateway/cluster-api.ts'
import { DevCluster, KnownObjects, openClients } from '../support/dev-cluster.ts'
import { flipByte } from '../support/flip-byte.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'

const FLIPS = 20
const LARGE = [9_000_000, 20_000_000]
const PATIENCE = ['--timeout', '600']

t.test('bytes that rot on two of six nodes are mended', async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  const random = new Seeded(seed)
  const dev = await DevCluster.make(t, ['--nodes', '6'])
  const shown = await dev.up()
  const objects = new KnownObjects(openClients(t, shown), 'rot')
  await objects.makeBucket()
  for (let round = 0; round < 8; round += 1) await objects.write(`some-${round}`)
  await objects.write('large', LARGE)
  const ask = (...words: string[]): Promise<string> =>
    dev.kintsugi(...words, '--endpoint', shown.gateways[0]!)
  const status = async () => JSON.parse(await ask('status', '--json')) as ClusterStatus

  const before = (await status()).healing
  const { nodes } = await dev.remembered()
  for (const { drives } of [nodes[1]!, nodes[3]!]) await rotIn(t, drives[0]!, random)
  t.match(await ask('heal', '--wait', ...PATIENCE), /A verified pass left nothing owed/)
  const { health, reasons, healing } = await status()
  t.equal(health, 'healthy', reasons.join(' '))
  t.equal(healing.unrepairableCount, 0)
  const mended = healing.mendedShards - before.mendedShards
  t.comment(`${mended} shards were mended`)
  // One of each of the largest, on either drive: the rest may have hit the same shard twice, or what is garbage.
  t.ok(mended >= 2 * LARGE.length)
  await objects.readAll(t, 'everything is whole')

  await ask('heal', '--wait', ...PATIENCE)
  t.equal((await status()).healing.mendedShards, healing.mendedShards, 'nothing is left to mend')
  for (const { pid } of [shown.nodes[0]!, shown.nodes[4]!]) process.kill(pid, 'SIGKILL')
  await objects.readAll(t, 'what was mended is all there is')
})

/** Bytes change in every file that is one shard, and at places of the segments. */
async function rotIn(t: Test, drive: string, random: Seeded): Promise<void> {
  const files = async (kind: string): Promise<string[]> => {
    const entries = await readdir(join(drive, kind), { recursive: true, withFileTypes: true })
    const whole = entries.filter((entry) => entry.isFile())
    return whole.map((entry) => join(entry.parentPath, entry.name))
  }
  const [large, segments] = [await files('big'), await files('seg')]
  t.ok(large.length >= LARGE.length)
  t.ok(segments.length > 0)
  for (const path of large) await flipByte(path, random)
  for (let flips = 0; flips < FLIPS; flips += 1) await flipByte(random.pick(segments), random)
}
