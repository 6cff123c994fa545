// Prometheus metrics. Each room lists its own in one file, on the registry handed to it.
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry }

/** A metric without labels that is computed when it is asked for. */
export interface Computed {
  name: string
  help: string
  value: () => number
  /** How those of several processes that serve one port become one: their sum when left out. */
  aggregator?: 'max' | 'min'
}

/** Puts a value that goes up and down on the registry. */
export function computedGauge({ value, ...shown }: Computed, registry: Registry): void {
  new Gauge({
    ...shown,
    registers: [registry],
    collect() {
      this.set(value())
    },
  })
}

/** Puts a total on the registry that somebody else counts. */
export function computedCounter({ value, ...shown }: Computed, registry: Registry): void {
  new Counter({
    ...shown,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(value())
    },
  })
}
