// Every striped blob was written again with another code, then all metadata is lost, and the coordinator's state with it:
// recover makes the same objects of what was written again, encrypted ones and versions among them.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask, driveOf } from '../support/drives.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import { check, drivesIn, fill, loseMetadata, put, recoverAll, start } from './recover-store.ts'

t.test('what was written again is recovered', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives, ['--garbage-grace', '1'])
  const writer = new S3Client(first.endpoint)
  const random = new Seeded(15)
  const wanted = await fill(writer, random)
  await put(writer, 'kept/large', random.bytes(400_000), wanted)
  await put(writer, 'kept/large', random.bytes(500_000), wanted)
  t.match(await ask('.', first, 'drain', '6', '--re-encode'), { code: 0, stdout: /3\+2/ })
  while (!(await driveOf('.', first, 6)).isVacated) await sleep(300)
  writer.close()
  await first.stop()
  await loseMetadata(drives)
  for (const drive of drives) await rm(join(drive, 'coordinator'), { recursive: true })
  const { coordinator, partitions } = await recoverAll(drives)
  t.match(coordinator, { source: 'copy', code: '3+2' })
  t.ok(partitions.every(({ report }) => report!.damaged.length === 0))

  const last = await start(t, drives)
  const reader = new S3Client(last.endpoint)
  await check(t, reader, wanted)
  const query = { versions: '', prefix: 'large' }
  const versions = (await reader.send({ method: 'GET', path: '/kept', query })).body.toString()
  t.same(versions.match(/<Size>\d+/g), ['<Size>500000', '<Size>400000'], 'in their order')
  reader.close()
  await last.stop()
})
