// Measures stores: load by load, and within a load store by store, so that what is compared ran in the same minute.
import type { World } from '../kit/world.ts'
import type { Answer } from './answer-reader.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { LOADS, type LoadName } from './loads.ts'
import { makePayloads } from './payloads.ts'
import { LoadProcesses, type Sum } from './processes.ts'
import { checkAnswer } from './run-clients.ts'
import { deleteKeys, type Move } from './scripts.ts'
import { Signer } from './signer.ts'

/** How loads run. */
export interface RunOptions {
  loads: readonly LoadName[]
  seconds: number
  /** Processes of the generator. */
  processes: number
  /** Other than those of each load. */
  clients?: number | undefined
}

/** One load at one store. */
export interface LoadResult {
  load: LoadName
  endpoint: string
  requests: number
  errors: number
  firstError?: string
  seconds: number
  /** Of what the load counts: requests, bytes or keys. */
  perSecond: number
  p50Ms: number
  p99Ms: number
  longestMs: number
  /** CPU of the generator. */
  generatorCpuSeconds: number
}

/** What measuring needs and whom it tells. */
export interface RunParts {
  world: World
  say(line: string): void
  /** Called around each measurement, with the results so far. */
  around?(endpoint: Endpoint, measure: () => Promise<LoadResult>): Promise<LoadResult>
}

/** Keys of one page, and of one request that deletes. */
const PAGE_KEYS = 1_000

/** A run that was broken off: what was wrong, and which bucket may stay. */
export class RunBroken extends Error {
  override readonly name = 'RunBroken'
  /** What was measured before. */
  readonly results: readonly LoadResult[]

  constructor(message: string, results: readonly LoadResult[]) {
    super(message)
    this.results = results
  }
}

/** Runs all loads at all endpoints. Throws RunBroken when a store can not be used. */
export async function runLoads(
  endpoints: readonly Endpoint[],
  options: RunOptions,
  parts: RunParts,
): Promise<LoadResult[]> {
  const results: LoadResult[] = []
  for (const load of options.loads) {
    for (const endpoint of endpoints) {
      const { result, troubles } = await measureOne(load, endpoint, options, parts)
      if (result !== undefined) results.push(result)
      if (troubles.length > 0) throw new RunBroken(troubles.join('; '), results)
    }
  }
  return results
}

interface Measured {
  result?: LoadResult
  troubles: string[]
}

/** In a bucket of its own, which goes whatever became of the load. */
async function measureOne(
  load: LoadName,
  endpoint: Endpoint,
  { seconds, processes, clients }: RunOptions,
  { world, say, around = (_endpoint, measure) => measure() }: RunParts,
): Promise<Measured> {
  const what = `${LOADS[load].title} at ${endpoint.url.host}`
  const store = new Store(endpoint, world)
  const measured: Measured = { troubles: [] }
  const attempt = async (work: () => Promise<void>, where: string): Promise<void> => {
    await work().catch((error: Error) => {
      measured.troubles.push(`${where}: ${error.message}`)
    })
  }
  say(what)
  await attempt(() => store.makeBucket(), what)
  if (measured.troubles.length > 0) return measured
  await attempt(async () => {
    await using children = new LoadProcesses(processes)
    await children.prepare({ load, clients, bucket: store.bucket, endpoint: plain(endpoint) })
    const measure = async (): Promise<LoadResult> =>
      describe(load, endpoint, await children.run(seconds))
    measured.result = await around(endpoint, measure)
  }, what)
  const stays = `bucket ${store.bucket} stays at ${endpoint.url.host}`
  await attempt(() => store.removeBucket(), stays)
  return measured
}

function plain(endpoint: Endpoint): Omit<Endpoint, 'url'> & { url: string } {
  return { ...endpoint, url: endpoint.url.href }
}

function describe(load: LoadName, endpoint: Endpoint, sum: Sum): LoadResult {
  const { requests, errors, firstError, seconds, latencies, amount, cpuSeconds } = sum
  return {
    ...{ load, endpoint: endpoint.url.host, requests, errors, seconds },
    ...(firstError === undefined ? {} : { firstError }),
    perSecond: seconds > 0 ? amount / seconds : 0,
    p50Ms: latencies.quantileMs(0.5),
    p99Ms: latencies.quantileMs(0.99),
    longestMs: latencies.quantileMs(1),
    generatorCpuSeconds: cpuSeconds,
  }
}

/** A bucket of its own at a store, made before a load and taken away after it. */
class Store {
  readonly bucket: string
  readonly #endpoint: Endpoint
  readonly #world: World

  constructor(endpoint: Endpoint, world: World) {
    this.#endpoint = endpoint
    this.#world = world
    this.bucket = `kintsugi-bench-${Buffer.from(world.random.bytes(6)).toString('hex')}`
  }

  async makeBucket(): Promise<void> {
    await this.#send({ step: { method: 'PUT', bucket: this.bucket, key: '' }, status: 200, amount })
  }

  /** With all that is in it, uploads that were not completed too. */
  async removeBucket(): Promise<void> {
    await this.#abortUploads()
    const payloads = makePayloads(1, this.#world.random)
    for (let keys = await this.#listKeys(); keys.length > 0; keys = await this.#listKeys())
      await this.#send(deleteKeys(this.bucket, keys, payloads))
    await this.#send({
      step: { method: 'DELETE', bucket: this.bucket, key: '' },
      status: 204,
      amount,
    })
  }

  async #listKeys(): Promise<string[]> {
    const query = [
      ['list-type', '2'],
      ['max-keys', String(PAGE_KEYS)],
    ] as const
    const text = await this.#ask(query)
    return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key!)
  }

  async #abortUploads(): Promise<void> {
    const text = await this.#ask([['uploads', '']])
    const found = text.matchAll(/<Key>([^<]*)<\/Key>\s*<UploadId>([^<]*)<\/UploadId>/g)
    for (const [, key = '', id = ''] of found) {
      const step = {
        method: 'DELETE',
        bucket: this.bucket,
        key,
        query: [['uploadId', id]],
      } as const
      await this.#send({ step, status: 204, amount })
    }
  }

  async #ask(query: readonly (readonly [string, string])[]): Promise<string> {
    const step = { method: 'GET', bucket: this.bucket, key: '', query } as const
    const { body } = await this.#send({ step, status: 200, keepsBody: true, amount })
    return body!.toString('utf8')
  }

  async #send(move: Move): Promise<Answer> {
    const { step, keepsBody = false } = move
    const connection = new Connection(this.#endpoint.url)
    try {
      const head = new Signer(this.#endpoint, this.#world.clock).head(step)
      const answer = await connection.send({
        head,
        body: step.body?.bytes,
        isHead: false,
        keepsBody,
      })
      checkAnswer(move, answer)
      return answer
    } finally {
      connection.close()
    }
  }
}

function amount(): number {
  return 0
}
