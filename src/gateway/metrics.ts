// What the gateway counts, for Prometheus. Every request is counted and few scrapes read it: so counting is a few
// additions, and what the registry shows is put together when it is asked for.
import { Counter, computedGauge, computedHistogram, type Registry } from '../kit/metrics.ts'

/** What is counted of a request that is over. */
export interface FinishedRequest {
  /** '' when it was recognised as none. */
  operation: string
  status: number
  bytesIn: number
  bytesOut: number
  ms: number
}

/** Counts requests. */
export interface GatewayMetrics {
  started(): void
  finished(request: FinishedRequest): void
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]

/** The metrics of the gateway on `registry`. */
export function openMetrics(registry: Registry): GatewayMetrics {
  const counts = new RequestCounts()
  new Counter({
    name: 'kintsugi_s3_requests_total',
    help: 'S3 requests answered, by operation and HTTP status.',
    labelNames: ['operation', 'status'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [operation, { statuses }] of counts.byOperation)
        for (const [status, count] of statuses) this.inc({ operation, status }, count)
    },
  })
  computedHistogram(
    {
      name: 'kintsugi_s3_request_seconds',
      help: 'Time from the head of a request to the end of its reply.',
      labelName: 'operation',
      bounds: SECONDS,
      tallies: () => counts.byOperation,
    },
    registry,
  )
  new Counter({
    name: 'kintsugi_s3_bytes_total',
    help: 'Bytes of bodies, by direction.',
    labelNames: ['direction'],
    registers: [registry],
    collect() {
      this.reset()
      this.inc({ direction: 'in' }, counts.bytesIn)
      this.inc({ direction: 'out' }, counts.bytesOut)
    },
  })
  computedGauge(
    {
      name: 'kintsugi_s3_requests_in_flight',
      help: 'S3 requests that are being answered.',
      value: () => counts.inFlight,
    },
    registry,
  )
  return counts
}

/** For a gateway that nobody watches. */
export const noMetrics: GatewayMetrics = { started: () => {}, finished: () => {} }

interface OperationCounts {
  statuses: Map<number, number>
  /** Requests within each of SECONDS, and last those that took longer. */
  counts: number[]
  /** Seconds of all together. */
  sum: number
}

class RequestCounts implements GatewayMetrics {
  /** As many as there are operations, and one for what is none. */
  readonly byOperation = new Map<string, OperationCounts>()
  inFlight = 0
  bytesIn = 0
  bytesOut = 0

  started(): void {
    this.inFlight += 1
  }

  finished({ operation, status, bytesIn, bytesOut, ms }: FinishedRequest): void {
    this.inFlight -= 1
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    const of = this.#countsOf(operation === '' ? 'none' : operation)
    of.statuses.set(status, (of.statuses.get(status) ?? 0) + 1)
    const seconds = ms / 1000
    of.sum += seconds
    const at = SECONDS.findIndex((bound) => seconds <= bound)
    of.counts[at < 0 ? SECONDS.length : at]! += 1
  }

  #countsOf(operation: string): OperationCounts {
    const known = this.byOperation.get(operation)
    if (known) return known
    const counts = new Array<number>(SECONDS.length + 1).fill(0)
    const fresh = { statuses: new Map<number, number>(), counts, sum: 0 }
    this.byOperation.set(operation, fresh)
    return fresh
  }
}
