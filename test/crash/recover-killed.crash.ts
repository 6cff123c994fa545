// `kintsugi recover` is killed at some moment, and run again: it ends well, and what comes out is the same.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { PROGRAM } from '../support/run-program.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import {
  check,
  drivesIn,
  fill,
  loseMetadata,
  PARTITIONS,
  recoverAll,
  run,
  start,
  untilDumped,
} from './recover-store.ts'

/** Parts of the time that a whole run takes. */
const MOMENTS = [0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97]

async function killAfter(drives: readonly string[], timeMs: number): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, 'recover', ...drives, '--yes'])
  const ended = once(child, 'close')
  await Promise.race([sleep(timeMs), ended])
  child.kill('SIGKILL')
  await ended
}

t.test('killed at several moments', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const root = dirname(drives[0]!)
  const first = await start(t, drives, ['--dump-days', '0.00001'])
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(14))
  await untilDumped(drives, Date.now())
  writer.close()
  await first.stop()
  await loseMetadata(drives)
  for (const drive of drives)
    for (const name of ['coordinator', 'coordinator.copy'])
      await rm(join(drive, name), { recursive: true })
  const lost = `${root}-lost`
  await cp(root, lost, { recursive: true })
  t.teardown(() => rm(lost, { recursive: true, force: true }))

  const begunMs = performance.now()
  const { partitions, coordinator } = await recoverAll(drives)
  const wholeMs = performance.now() - begunMs
  t.equal(partitions.length, PARTITIONS)
  t.match(coordinator, { source: 'dump', buckets: ['plain', 'kept'], namelessBuckets: [] })
  const stages = new Set<string>()
  for (const moment of MOMENTS) {
    await rm(root, { recursive: true })
    await cp(lost, root, { recursive: true })
    await killAfter(drives, wholeMs * moment)
    const again = await recoverAll(drives)
    stages.add(`${again.coordinator ? 'state, ' : ''}${again.partitions.length} partitions`)
    // Either nothing counted before, or all of it.
    if (again.coordinator) t.same(again.coordinator, coordinator, 'the same state')
    if (again.partitions.length > 0) t.same(again.partitions, partitions, 'the same rows')
  }
  t.comment(`what was left to do: ${[...stages].join('; ')}`)
  t.match(await run(['recover', ...drives, '--yes']), { stdout: /nothing is to be recovered/ })
  const last = await start(t, drives)
  const reader = new S3Client(last.endpoint)
  await check(t, reader, wanted)
  reader.close()
  await last.stop()
})
