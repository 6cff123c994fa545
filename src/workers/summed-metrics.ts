// The metrics of several processes as those of one: counters and histograms are summed, of gauges each says how.
import { AggregatorRegistry, type Registry } from 'prom-client'
import type { MetricsAsJson } from './messages.ts'

/** What all processes counted, those too that have ended meanwhile: a sum never goes down. */
export class SummedMetrics {
  readonly contentType: string
  readonly #last = new Map<number, MetricsAsJson>()
  #past: MetricsAsJson = []

  constructor({ contentType }: Pick<Registry, 'contentType'>) {
    this.contentType = contentType
  }

  /** Of a process that has ended: what it counted up to when it was last asked. */
  retire(pid: number): void {
    const last = this.#last.get(pid) ?? []
    this.#last.delete(pid)
    // As text, for how prom-client writes its types of metrics is not what it says.
    const counts = last.filter(({ type }) => ['counter', 'histogram'].includes(String(type)))
    this.#past = sum([this.#past, counts])
  }

  /** The text for Prometheus: of `others`, and of what processes have answered now. */
  async write(
    answers: readonly { pid: number; answer: MetricsAsJson }[],
    ...others: readonly MetricsAsJson[]
  ): Promise<string> {
    for (const { pid, answer } of answers) this.#last.set(pid, answer)
    const all = [...answers.map(({ answer }) => answer), ...others, this.#past]
    return await AggregatorRegistry.aggregate(all).metrics()
  }
}

function sum(all: readonly MetricsAsJson[]): MetricsAsJson {
  const summed: MetricsAsJson = []
  const registry = AggregatorRegistry.aggregate([...all])
  for (const metric of registry.getMetricsAsArray()) {
    summed.push(metric as unknown as MetricsAsJson[number])
  }
  return summed
}
