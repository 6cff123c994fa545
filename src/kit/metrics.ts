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

/** What was observed under one label. */
export interface Tally {
  /** Observations up to each bound and above the one before, and last those above all. */
  counts: readonly number[]
  sum: number
}

/** A histogram with one label that somebody else counts. */
export interface ComputedHistogram {
  name: string
  help: string
  labelName: string
  /** Ascending. */
  bounds: readonly number[]
  tallies: () => Iterable<readonly [label: string, tally: Tally]>
}

/** Puts a histogram on the registry that is put together when it is asked for. */
export function computedHistogram(shown: ComputedHistogram, registry: Registry): void {
  const { name, help, tallies } = shown
  const metric = {
    ...{ name, help, type: 'histogram', aggregator: 'sum' },
    get: async () => ({
      ...{ name, help, type: 'histogram', aggregator: 'sum' },
      values: [...tallies()].flatMap(([label, tally]) => linesOf(shown, label, tally)),
    }),
    reset: () => {},
  }
  // The registry asks no more of a metric than this; its types name the classes of the library.
  registry.registerMetric(metric as unknown as Histogram)
}

function linesOf(
  { name, labelName, bounds }: ComputedHistogram,
  label: string,
  { counts, sum }: Tally,
): { metricName: string; labels: Record<string, string | number>; value: number }[] {
  const labels = { [labelName]: label }
  let upTo = 0
  const buckets = counts.map((count, at) => {
    upTo += count
    const le = bounds[at] ?? '+Inf'
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: upTo }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: upTo },
  ]
}
