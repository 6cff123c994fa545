// A thousand flipped bytes over all files of all drives while the store serves, and one forced pass: no wrong byte is
// returned, everything damaged is found and mended, and a second pass finds nothing.
//
// A code with m parity shards mends m damaged shards of a blob, and m + 1 replicas of rows mend m. Flips that fall anywhere
// would exceed that now and then by mere chance, and nobody could mend it. So the drives are damaged in turns of m at a time:
// the shards and rows of m drives rot, whatever is in their files, a pass mends them, then the next m. All drives get their share,
// and the number of flips over all turns is a thousand.
//
// A rotten table of a LevelDB that is open may end the server, which its guard then starts again. So as long as there
// is rot, requests are patient; what they get must be right all the same.
import { mkdtemp, open, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { HealingStatus } from '../../src/gateway/admin-api.ts'
import { MixedLoad } from '../support/load.ts'
import { ROOT_KEYS, runProgram } from '../support/run-program.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded, seedOfRun } from '../support/seeded.ts'
import { countRestarts, startServer, type TestServer } from '../support/server.ts'

const FLIPS = Number(process.env.FLIPS ?? 1000)
/** Only files whose path from the directory of all drives matches it, as `meta.db/` or `(shards|meta).db/`. */
const KIND = new RegExp(process.env.KIND ?? '')
/** The server may be away for so long when it is started again. */
const PATIENCE_MS = 240_000
/** So often it may be started again while one turn is mended. */
const LIVES_MAX = 4
const PARITY = 2
const DRIVES = 6

t.test('flips over all files of all drives', { timeout: 900_000 }, async (t) => {
  const seed = seedOfRun()
  t.comment(`SEED=${seed}`)
  const random = new Seeded(seed)
  const root = await mkdtemp(join(tmpdir(), 'kintsugi-scrub-'))
  const directories = Array.from({ length: DRIVES }, (_, index) => join(root, `drive${index + 1}`))
  const server = await startServer({ directories, environment: { KINTSUGI_BUCKETS: 'load' } })
  t.teardown(async () => {
    await server.kill()
    if (!t.passing()) t.comment(`the last that the server said: ${lastSaid(server)}`)
    await rm(root, { recursive: true })
  })
  const client = new S3Client(server.endpoint)
  const load = new MixedLoad(client, 'load', random)
  const running = load.run(4)
  await sleep(6000)
  load.stop()
  await running
  t.same(load.troubles, [])
  await heal(server)

  const turns = DRIVES / PARITY
  const kinds = new Map<string, number>()
  client.patienceMs = PATIENCE_MS
  for (let turn = 0; turn < turns; turn += 1) {
    const victims = directories.slice(turn * PARITY, (turn + 1) * PARITY)
    const files = (await filesOf(victims)).filter((file) => KIND.test(file.slice(root.length)))
    for (let flip = 0; flip < FLIPS / turns; flip += 1) {
      const file = random.pick(files)
      if (await flipByte(file, random)) {
        const kind = kindOf(file, root)
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      }
    }
    await load.checkAll()
    t.same(load.troubles, [], `no wrong byte in turn ${turn}`)
    const { before, after } = await healTwice(server)
    t.ok(before.verified, `one pass mends turn ${turn}`)
    t.ok(after.verified)
    t.equal(after.mendedShards, before.mendedShards, 'the next pass finds no shard to mend')
    t.equal(after.damagedFiles, before.damagedFiles, 'nor any other file')
    t.equal(after.unrepairableCount, 0)
    t.comment(`turn ${turn}: ${after.mendedShards} shards, ${after.damagedFiles} files so far`)
  }
  client.patienceMs = 0
  t.comment(`the server was started again ${await countRestarts(server)} times`)
  t.comment(`flips by kind: ${JSON.stringify(Object.fromEntries(kinds))}`)
  await load.checkAll()
  t.same(load.troubles, [])
  const { drives } = JSON.parse(await ask(server, ['status', '--json'])) as {
    drives: { state: string }[]
  }
  t.ok(
    drives.every(({ state }) => state === 'active'),
    'every drive is still in service',
  )
  t.equal(await server.stop(), 0)
  client.close()
  const again = await startServer({ directories })
  const reader = new S3Client(again.endpoint)
  const last = new MixedLoad(reader, 'load', random, load.history)
  await last.checkAll()
  t.same(last.troubles, [], 'and so after a restart')
  reader.close()
  t.equal(await again.stop(), 0)
})

/** The log without its lines about requests. */
function lastSaid(server: TestServer): string {
  const lines = server.log().split('\n')
  return lines
    .filter((line) => !line.endsWith('"msg":"request"}'))
    .join('\n')
    .slice(-10_000)
}

/** A verified pass and the next one, both of one life of the server: what they count begins anew with each. */
async function healTwice(
  server: TestServer,
): Promise<{ before: HealingStatus; after: HealingStatus }> {
  for (let tries = 0; tries < LIVES_MAX; tries += 1) {
    const before = await healPatiently(server)
    const restarts = await countRestarts(server)
    const after = await healPatiently(server)
    if (restarts === before.restarts && restarts === (await countRestarts(server))) {
      return { before: before.healing, after: after.healing }
    }
  }
  throw new Error(`the server did not stay for two passes: ${lastSaid(server)}`)
}

/** A pass that ends in the life of the server that it began in, whatever that takes. */
async function healPatiently(
  server: TestServer,
): Promise<{ healing: HealingStatus; restarts: number }> {
  for (let tries = 0; ; tries += 1) {
    const restarts = await countRestarts(server)
    try {
      return { healing: await heal(server), restarts }
    } catch (error) {
      if (tries >= LIVES_MAX || (await countRestarts(server)) === restarts) throw error
    }
  }
}

/** One forced pass to its verified end. */
async function heal(server: TestServer): Promise<HealingStatus> {
  const text = await ask(server, ['heal', '--wait', '--json', '--timeout', '240'])
  return (JSON.parse(text) as { healing: HealingStatus }).healing
}

async function ask({ endpoint }: TestServer, words: readonly string[]): Promise<string> {
  const asked = [...words, '--endpoint', endpoint]
  const { code, stdout, stderr } = await runProgram(asked, { environment: ROOT_KEYS })
  if (code !== 0) throw new Error(`${words[0]} ended with ${code}: ${stderr} ${stdout}`)
  return stdout
}

async function filesOf(directories: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const directory of directories) {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    for (const entry of entries) if (entry.isFile()) found.push(join(entry.parentPath, entry.name))
  }
  return found
}

/** The entry of the drive that the file lies in. */
function kindOf(path: string, root: string): string {
  return path.slice(root.length + 1).split('/')[1]!
}

/** False when the file is gone meanwhile, or empty. */
async function flipByte(path: string, random: Seeded): Promise<boolean> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size === 0) return false
  const file = await open(path, 'r+').catch(() => undefined)
  if (file === undefined) return false
  try {
    const at = random.below(size)
    const byte = Buffer.alloc(1)
    await file.read(byte, 0, 1, at)
    byte[0]! ^= 1 << random.below(8)
    await file.write(byte, 0, 1, at)
    return true
  } finally {
    await file.close()
  }
}
