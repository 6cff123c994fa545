// How a drive that hangs is felt by the others: latencies of GET and PUT before, while and after it hangs.
// node dist/bench/sick-drive.bench.js [drives] [seconds of hanging] [workers]
import { setTimeout as sleep } from 'node:timers/promises'
import { Seeded } from '../test/support/seeded.ts'
import {
  type Measured,
  newDirectories,
  openSickStore,
  quantileOf,
  SickLoad,
} from '../test/support/sick-store.ts'

const [driveCount = 8, hangSeconds = 30, workers = 8] = process.argv.slice(2).map(Number)
const { directories, remove } = await newDirectories(driveCount)
const store = await openSickStore(directories)
const load = new SickLoad(store, new Seeded(Date.now() % 1_000_000))
const running = load.run(workers)
await sleep(10_000)
const hangsMs = performance.now()
store.disk.infect(directories[1]!, { kind: 'hangs' })
const events: string[] = []
const stopWatching = store.storage.coordinator.watch(({ map }) => {
  const { state, reason = '' } = map.drives[1]!
  const event = `${state} ${reason}`
  if (!events.at(-1)?.endsWith(event))
    events.push(`${Math.round(performance.now() - hangsMs)} ms: drive 2 is ${event}`)
})
await sleep(hangSeconds * 1000)
const curedMs = performance.now()
store.disk.cure(directories[1]!)
await sleep(10_000)
load.stop()
await running
stopWatching()

const phases: [string, (one: Measured) => boolean][] = [
  ['before', ({ beganMs, tookMs }) => beganMs + tookMs < hangsMs],
  ['while it hangs', ({ beganMs, tookMs }) => beganMs + tookMs >= hangsMs && beganMs < curedMs],
  ['after', ({ beganMs }) => beganMs >= curedMs],
]
for (const [name, isIn] of phases) {
  for (const kind of ['get', 'put'] as const) {
    const measured = load.measured.filter((one) => one.kind === kind && isIn(one))
    const [p50, p99, most] = [0.5, 0.99, 1].map((share) => quantileOf(measured, share).toFixed(0))
    console.log(
      `${name}, ${kind}: ${measured.length}, p50 ${p50} ms, p99 ${p99} ms, most ${most} ms`,
    )
  }
}
console.log(events.join('\n'))
console.log(await store.registry.getSingleMetricAsString('kintsugi_hedged_reads_total'))
const checked = await load.checkAll()
console.log(`${checked} objects checked, troubles: ${JSON.stringify(load.troubles.slice(0, 5))}`)
await store.close()
await remove()
