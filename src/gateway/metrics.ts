// What the gateway counts, for Prometheus.
import { Counter, Gauge, Histogram, type Registry } from '../kit/metrics.ts'
import type { AccessRecord } from './access-log.ts'

/** Counts requests. */
export interface GatewayMetrics {
  started(): void
  finished(record: AccessRecord): void
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120]

/** The metrics of the gateway on `registry`. */
export function openMetrics(registry: Registry): GatewayMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'kintsugi_s3_requests_total',
    help: 'S3 requests answered, by operation and HTTP status.',
    labelNames: ['operation', 'status'],
    registers,
  })
  const seconds = new Histogram({
    name: 'kintsugi_s3_request_seconds',
    help: 'Time from the head of a request to the end of its reply.',
    labelNames: ['operation'],
    buckets: SECONDS,
    registers,
  })
  const bytes = new Counter({
    name: 'kintsugi_s3_bytes_total',
    help: 'Bytes of bodies, by direction.',
    labelNames: ['direction'],
    registers,
  })
  const inFlight = new Gauge({
    name: 'kintsugi_s3_requests_in_flight',
    help: 'S3 requests that are being answered.',
    registers,
  })
  return {
    started: () => inFlight.inc(),
    finished: (record) => {
      inFlight.dec()
      const operation = record.operation === '' ? 'none' : record.operation
      requests.inc({ operation, status: String(record.status) })
      seconds.observe({ operation }, record.ms / 1000)
      bytes.inc({ direction: 'in' }, record.bytesIn)
      bytes.inc({ direction: 'out' }, record.bytesOut)
    },
  }
}

/** For a gateway that nobody watches. */
export const noMetrics: GatewayMetrics = { started: () => {}, finished: () => {} }
