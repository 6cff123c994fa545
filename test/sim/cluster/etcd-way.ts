// The way from a simulated process to etcd: requests take time, and etcd may be cut off from some machines.
import type { Http, HttpLines, HttpRequest } from '../../../src/kit/world.ts'
import type { Seeded } from '../../support/seeded.ts'
import type { SimulatedEtcd } from '../../support/simulated-etcd.ts'
import type { SimTime } from '../time.ts'
import type { End } from './network.ts'

const USUAL_MS = 3

/** All ways to etcd. */
export class EtcdWays {
  readonly #time: SimTime
  readonly #etcd: SimulatedEtcd
  readonly #random: Seeded
  readonly #cut = new Set<string>()

  constructor(etcd: SimulatedEtcd, time: SimTime, random: Seeded) {
    this.#etcd = etcd
    this.#time = time
    this.#random = random
  }

  /** A machine reaches etcd no more; its watches say nothing. */
  cut(machine: string): void {
    this.#cut.add(machine)
  }

  mend(): void {
    this.#cut.clear()
  }

  /** Connections break: everyone watches anew. */
  breakAll(): void {
    this.#etcd.breakWatches()
  }

  /** As a process of the cluster has it in its world. */
  httpOf(end: End): Http {
    return {
      send: (request) => this.#send(end, request),
      lines: (request, signal) => this.#lines(end, request, signal),
    }
  }

  /** A process that ended gets no answer; what it asked for may be done all the same. */
  #send(end: End, request: HttpRequest): ReturnType<Http['send']> {
    return new Promise((resolve, reject) => {
      const hear = (say: () => void): void => {
        this.#time.after(this.#wayMs(), () => end.process.whenAwake(say))
      }
      this.#time.after(this.#wayMs(), () => {
        if (!end.process.isAlive && this.#random.below(2) === 0) return
        if (this.#cut.has(end.machine)) return hear(() => reject(new Error('etcd is not reached')))
        this.#etcd.http.send(request).then(
          (answer) =>
            hear(() => {
              if (this.#cut.has(end.machine)) reject(new Error('the connection broke'))
              else resolve(answer)
            }),
          (error) => hear(() => reject(error)),
        )
      })
    })
  }

  async #lines(end: End, request: HttpRequest, signal: AbortSignal): Promise<HttpLines> {
    await this.#time.sleep(this.#wayMs())
    if (!end.process.isAlive) return await new Promise(() => {})
    if (this.#cut.has(end.machine)) throw new Error('etcd is not reached')
    const gone = new AbortController()
    signal.addEventListener('abort', () => gone.abort(signal.reason), { once: true })
    void end.process.ended.then(() => gone.abort(new Error('the process ended')))
    const { status, lines } = await this.#etcd.http.lines(request, gone.signal)
    return { status, lines: this.#heard(end, lines) }
  }

  async *#heard(end: End, lines: AsyncIterable<string>): AsyncGenerator<string> {
    for await (const line of lines) {
      await this.#time.sleep(this.#wayMs())
      await new Promise<void>((resolve) => {
        end.process.whenAwake(resolve)
      })
      // Nothing comes through, and nothing says so.
      if (!this.#cut.has(end.machine)) yield line
    }
  }

  #wayMs(): number {
    return (this.#random.below(1000) / 1000) * USUAL_MS
  }
}
