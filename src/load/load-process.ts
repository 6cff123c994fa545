// The program of one process of the generator: prepares its share, says so, waits until all are ready, and runs.
import { prepareDigests } from '../digest/digest.ts'
import { realWorld } from '../kit/world.ts'
import { loadOf } from './loads.ts'
import type { FromProcess, ToProcess, Work } from './messages.ts'
import { makePayloads } from './payloads.ts'
import { runClients, type Tally } from './run-clients.ts'
import { openPreparation, openScript, type Script, type ScriptParts } from './scripts.ts'

const PREPARING_AT_ONCE = 16

const world = realWorld()

process.on('message', (message: ToProcess) => {
  handle(message).catch((error: Error) => answer({ kind: 'failed', why: error.message }))
})
// Whoever started us is gone.
process.on('disconnect', () => process.exit(1))

let clients: ScriptParts[] = []
let work: Work | undefined

async function handle(message: ToProcess): Promise<void> {
  switch (message.kind) {
    case 'prepare':
      await prepareDigests()
      work = message.work
      clients = clientsOf(message.work)
      answer({ kind: 'ready', tally: await prepare(message.work) })
      return
    case 'run':
      answer(await run(work!, message.seconds))
      return
  }
}

/** Every process has each n-th client. */
function clientsOf({ load: name, clients, bucket, at, processes }: Work): ScriptParts[] {
  const load = loadOf(name, clients)
  const payloads = makePayloads(load.objectBytes, world.random)
  const all = Array.from({ length: load.clients }, (_, client) => client)
  return all
    .filter((client) => client % processes === at)
    .map((client) => ({ load, bucket, client, payloads, random: drawing(client + 1) }))
}

/** By few at once, however many clients there are: a store that refuses some of those is to be measured. */
function prepare({ endpoint }: Work): Promise<Tally> {
  const left = clients.map((parts) => openPreparation(parts))[Symbol.iterator]()
  const scripts = Array.from({ length: Math.min(PREPARING_AT_ONCE, clients.length) }, () =>
    oneAfterTheOther(left),
  )
  return runClients(scripts, Number.POSITIVE_INFINITY, partsOf(endpoint))
}

/** Whoever is done takes the next script that nobody has taken. */
function oneAfterTheOther(left: Iterator<Script>): Script {
  let script: Script | undefined
  return {
    next: () => {
      for (;;) {
        const move = script?.next()
        if (move !== undefined) return move
        const { value, done } = left.next()
        if (done) return undefined
        script = value
      }
    },
  }
}

async function run({ load, endpoint }: Work, seconds: number): Promise<FromProcess> {
  const scripts = clients.map((parts) => openScript(load, parts))
  const before = process.cpuUsage()
  const untilMs = world.clock.monotonicMs() + seconds * 1000
  const tally = await runClients(scripts, untilMs, partsOf(endpoint))
  const { user, system } = process.cpuUsage(before)
  return { kind: 'ran', tally, cpuSeconds: (user + system) / 1e6 }
}

function partsOf(endpoint: Work['endpoint']): Parameters<typeof runClients>[2] {
  return { endpoint: { ...endpoint, url: new URL(endpoint.url) }, clock: world.clock }
}

function answer(message: FromProcess): void {
  process.send!(message)
}

/** The same numbers in every run: what is compared draws alike (xorshift of 32 bits, Marsaglia 2003). */
function drawing(seed: number): { below(bound: number): number } {
  let state = Math.imul(seed, 0x9e3779b1) || 1
  return {
    below: (bound) => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % bound
    },
  }
}
