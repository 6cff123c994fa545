// Clients that all want to create the same key, through all gateways, while nodes die: `node creators.js OPTIONS` in the hub of a
// network. In each round one of them may, and whoever was told that it did is what everybody reads.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { S3Client } from '../../support/s3.ts'
import { keysIn } from './etcd-keys.ts'
import { Network } from './network.ts'
import { ClusterProcesses, type ClusterSize } from './processes.ts'
import { judgeRound, type Outcome } from './round.ts'

/** What is done. */
export interface CreatorsOptions {
  size: ClusterSize
  directory: string
  creators: number
  rounds: number
  /** After so many rounds a node is killed, and one that was killed before is started. 0: never. */
  roundsOfNode: number
  /** Objects that are put before all that, to see what they leave in etcd. */
  puts: number
}

/** What is written to `report.json`. */
export interface CreatorsReport {
  rounds: number
  /** Rounds in which somebody was not answered. */
  withUnknown: number
  /** Rounds in which nobody was told that it won. */
  withoutWinner: number
  kills: number
  violations: string[]
  /** Keys in etcd before and after the puts. */
  etcdKeys: { before: number; after: number; puts: number; seconds: number }
}

const BUCKET = 'creators'
const NONE = { 'if-none-match': '*' }
const WRITERS = 16
const PATIENCE_MS = 240_000

const options = JSON.parse(process.argv[2]!) as CreatorsOptions
const cluster = await ClusterProcesses.start(
  options.size,
  options.directory,
  Network.fromEnvironment(),
)
const clients = cluster.endpoints.map((endpoint) => new S3Client(endpoint))
await surely('a bucket', async () => {
  const { status } = await clients[0]!.send({ method: 'PUT', path: `/${BUCKET}` })
  return status === 200 ? true : undefined
})
const etcdKeys = await putMany()
const report: CreatorsReport = { ...(await race()), etcdKeys }
await writeFile(join(options.directory, 'report.json'), JSON.stringify(report))
process.exit(0)

/** Puts objects under keys of their own, and counts the keys of etcd. */
async function putMany(): Promise<CreatorsReport['etcdKeys']> {
  const { puts } = options
  const before = await keysIn(cluster.etcdUrl)
  const begunMs = performance.now()
  let next = 0
  const write = async (): Promise<void> => {
    for (let at = next++; at < puts; at = next++) {
      const body = Buffer.from(`object ${at}`)
      await surely(`put ${at}`, async () => {
        const { status } = await clients[at % clients.length]!.put(BUCKET, `many/${at}`, body)
        return status === 200 ? true : undefined
      })
      if ((at + 1) % 5_000 === 0)
        say(`${at + 1} objects, ${await keysIn(cluster.etcdUrl)} keys in etcd`)
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
  const seconds = (performance.now() - begunMs) / 1000
  return { before, after: await keysIn(cluster.etcdUrl), puts, seconds }
}

async function race(): Promise<Omit<CreatorsReport, 'etcdKeys'>> {
  const found = {
    rounds: 0,
    withUnknown: 0,
    withoutWinner: 0,
    kills: 0,
    violations: [] as string[],
  }
  let dead: string | undefined
  for (let round = 0; round < options.rounds; round += 1) {
    if (options.roundsOfNode > 0 && round % options.roundsOfNode === options.roundsOfNode - 1) {
      const back = dead
      if (back !== undefined) await cluster.start(back)
      dead = cluster.nodes[found.kills % cluster.nodes.length]!
      found.kills += 1
      // Amid the round.
      void sleep(20).then(() => cluster.end(dead!, 'SIGKILL'))
    }
    const key = `one/${round}`
    const outcomes = await Promise.all(
      Array.from({ length: options.creators }, (_, creator) => create(key, creator)),
    )
    const reads = await Promise.all(clients.map((client) => read(client, key)))
    const verdict = judgeRound(outcomes, reads)
    found.rounds += 1
    if (verdict.unknown > 0) found.withUnknown += 1
    if (verdict.winners === 0) found.withoutWinner += 1
    found.violations.push(...verdict.violations.map((violation) => `round ${round}: ${violation}`))
    if ((round + 1) % 50 === 0) say(`${round + 1} rounds, ${found.violations.length} violations`)
  }
  return found
}

async function create(key: string, creator: number): Promise<Outcome> {
  const client = clients[creator % clients.length]!
  try {
    const { status } = await client.put(BUCKET, key, Buffer.from(String(creator)), NONE)
    if (status === 200) return 'won'
    return status === 412 ? 'lost' : 'unknown'
  } catch {
    return 'unknown'
  }
}

/** Who is in it: as all gateways see it, once they answer. */
function read(client: S3Client, key: string): Promise<number | 'absent'> {
  return surely(key, async () => {
    const { status, body } = await client.get(BUCKET, key)
    if (status === 404) return 'absent'
    return status === 200 ? Number(body) : undefined
  })
}

/** Asks until there is an answer. */
async function surely<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined>,
): Promise<Answer> {
  const untilMs = performance.now() + PATIENCE_MS
  for (;;) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    if (performance.now() > untilMs) throw new Error(`no answer: ${what}`)
    await sleep(200)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
