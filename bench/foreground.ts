// A load of reads and overwrites while something else happens: every body is checked, every latency kept by phase.
import type { S3Client } from '../test/support/s3.ts'
import { Seeded } from '../test/support/seeded.ts'

/** What clients saw of one phase. */
export interface PhaseRow {
  phase: string
  seconds: number
  operations: number
  perSecond: number
  p50Ms: number
  p99Ms: number
  longestMs: number
  /** Answers that were no success, and broken connections. */
  errors: number
  /** Bodies that were not what was written. */
  wrong: number
}

const BUCKET = 'bench'

/** Sizes in the ratio in which objects have them. */
const SIZES = [4_096, 65_536, 131_072, 262_144, 524_288, 1_048_576, 2_097_152] as const

/** Bytes that objects are cut out of: each begins elsewhere, so that two of one length differ. */
const source = new Seeded(7).bytes(4 * 1024 * 1024)

interface Phase {
  name: string
  startedMs: number
  latencies: number[]
  errors: number
  wrong: number
}

/** Objects of one bucket, and clients that use them. */
export class Foreground {
  readonly #client: S3Client
  readonly #objects: number
  readonly #writeEvery: number
  /** How often each object was written: its content follows from it. */
  readonly #writes: number[]
  readonly #writing = new Set<number>()
  #phase: Phase = newPhase('idle')
  #stopping = false
  #running: Promise<unknown> = Promise.resolve()

  /** `writeEvery`: one write in so many operations. */
  constructor(client: S3Client, objects: number, writeEvery = 10) {
    this.#client = client
    this.#writeEvery = writeEvery
    this.#objects = objects
    this.#writes = Array<number>(objects).fill(0)
  }

  /** Bytes of so many objects together. */
  bytesOf(objects: number): number {
    let bytes = 0
    for (let index = 0; index < objects; index += 1) bytes += SIZES[index % SIZES.length]!
    return bytes
  }

  /** Writes every object once. */
  async fill(clients: number): Promise<void> {
    let next = 0
    const work = async (): Promise<void> => {
      for (let index = next++; index < this.#objects; index = next++) await this.#put(index)
    }
    await Promise.all(Array.from({ length: clients }, work))
    if (this.#phase.errors > 0) throw new Error(`${this.#phase.errors} objects were refused`)
  }

  /** Begins to read, and now and then to write. */
  start(clients: number): void {
    this.#running = Promise.all(Array.from({ length: clients }, (_, client) => this.#work(client)))
  }

  /** Ends the phase that was, and returns what it was like. */
  enter(name: string): PhaseRow {
    const ended = this.#phase
    this.#phase = newPhase(name)
    return rowOf(ended)
  }

  async stop(): Promise<PhaseRow> {
    this.#stopping = true
    await this.#running
    return this.enter('idle')
  }

  /** Reads every object; returns how many are not as they were written. */
  async countWrong(clients: number): Promise<number> {
    let next = 0
    let wrong = 0
    const work = async (): Promise<void> => {
      for (let index = next++; index < this.#objects; index = next++) {
        const { status, body } = await this.#client.get(BUCKET, keyOf(index))
        if (status !== 200 || !body.equals(this.#content(index))) wrong += 1
      }
    }
    await Promise.all(Array.from({ length: clients }, work))
    return wrong
  }

  async #work(client: number): Promise<void> {
    const random = new Seeded(client + 1)
    while (!this.#stopping) {
      const index = random.below(this.#objects)
      if (this.#writing.has(index)) continue
      const isWrite = random.below(this.#writeEvery) === 0
      const phase = this.#phase
      const startedMs = performance.now()
      try {
        if (isWrite) await this.#put(index)
        else await this.#get(index, phase)
      } catch {
        phase.errors += 1
      }
      phase.latencies.push(performance.now() - startedMs)
    }
  }

  async #put(index: number): Promise<void> {
    this.#writing.add(index)
    try {
      this.#writes[index]! += 1
      const { status } = await this.#client.put(BUCKET, keyOf(index), this.#content(index))
      if (status !== 200) this.#phase.errors += 1
    } finally {
      this.#writing.delete(index)
    }
  }

  async #get(index: number, phase: Phase): Promise<void> {
    const before = this.#writes[index]
    const { status, body } = await this.#client.get(BUCKET, keyOf(index))
    // Overwritten meanwhile: either content is right, and the reads at the end look at it again.
    if (before !== this.#writes[index]) return
    if (status !== 200) phase.errors += 1
    else if (!body.equals(this.#content(index))) phase.wrong += 1
  }

  #content(index: number): Buffer {
    const at = (index * 4_093 + this.#writes[index]! * 8_191) % (source.length / 2)
    return Buffer.from(source.buffer, source.byteOffset + at, SIZES[index % SIZES.length])
  }
}

/** What a phase was like, in one line. */
export function printPhase(row: PhaseRow): void {
  const { phase, seconds, perSecond, p50Ms, p99Ms, longestMs, errors, wrong } = row
  console.log(
    `${phase.padEnd(24)} ${String(seconds).padStart(6)} s ${String(perSecond).padStart(6)}/s  p50 ${p50Ms} ms  ` +
      `p99 ${p99Ms} ms  longest ${longestMs} ms  ${errors} errors  ${wrong} wrong`,
  )
}

function newPhase(name: string): Phase {
  return { name, startedMs: performance.now(), latencies: [], errors: 0, wrong: 0 }
}

function rowOf({ name, startedMs, latencies, errors, wrong }: Phase): PhaseRow {
  const seconds = (performance.now() - startedMs) / 1000
  const sorted = latencies.toSorted((left, right) => left - right)
  const at = (share: number): number => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0)
  return {
    phase: name,
    seconds: Number(seconds.toFixed(1)),
    operations: sorted.length,
    perSecond: Math.round(sorted.length / seconds),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    longestMs: Math.round(sorted.at(-1) ?? 0),
    errors,
    wrong,
  }
}

function keyOf(index: number): string {
  return `objects/${index % 100}/${index}`
}
