// The metrics of several processes as those of one.
import t from 'tap'
import { Counter, computedGauge, Gauge, Histogram, Registry } from '../../../src/kit/metrics.ts'
import { SummedMetrics } from '../../../src/workers/summed-metrics.ts'

async function countsOf(requests: number, drives: number) {
  const registry = new Registry()
  const registers = [registry]
  new Counter({ name: 'requests', help: 'h', labelNames: ['status'], registers }).inc(
    { status: '200' },
    requests,
  )
  new Histogram({ name: 'seconds', help: 'h', buckets: [1, 2], registers }).observe(1.5)
  new Gauge({ name: 'in_flight', help: 'h', registers }).set(requests)
  computedGauge({ name: 'drives', help: 'h', value: () => drives, aggregator: 'max' }, registry)
  return await registry.getMetricsAsJSON()
}

t.test('counters and histograms are summed, gauges as they say', async (t) => {
  const summed = new SummedMetrics(new Registry())
  const answers = [
    { pid: 1, answer: await countsOf(3, 6) },
    { pid: 2, answer: await countsOf(4, 6) },
  ]
  const text = await summed.write(answers)
  t.match(text, /^requests\{status="200"\} 7$/m)
  t.match(text, /^seconds_bucket\{le="1"\} 0$/m)
  t.match(text, /^seconds_bucket\{le="2"\} 2$/m)
  t.match(text, /^seconds_count 2$/m)
  t.match(text, /^in_flight 7$/m)
  t.match(text, /^drives 6$/m)
})

t.test('what a process counted that has ended is still counted', async (t) => {
  const summed = new SummedMetrics(new Registry())
  const two = { pid: 2, answer: await countsOf(4, 6) }
  await summed.write([{ pid: 1, answer: await countsOf(3, 6) }, two])
  summed.retire(1)
  for (const [pid, requests, sum] of [
    [3, 0, 7],
    [4, 5, 12],
  ] as const) {
    const text = await summed.write([two, { pid, answer: await countsOf(requests, 6) }])
    t.match(text, new RegExp(`^requests\\{status="200"\\} ${sum}$`, 'm'))
    t.match(text, new RegExp(`^in_flight ${4 + requests}$`, 'm'), 'gauges are of those that live')
    t.match(text, /^drives 6$/m)
  }
  summed.retire(4)
  summed.retire(4)
  t.match(await summed.write([two]), /^requests\{status="200"\} 12$/m, 'once')
})
