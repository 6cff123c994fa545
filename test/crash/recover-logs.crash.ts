// The rows of all replicas are gone, but not their logs: a start makes them again of logs that go back to the beginning, and
// recover goes on from a dump with those that do not.
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import {
  check,
  drivesIn,
  fill,
  PARTITIONS,
  put,
  recoverAll,
  refusal,
  start,
  untilDumped,
  upload,
  type Wanted,
} from './recover-store.ts'

async function loseRows(drives: readonly string[]): Promise<void> {
  for (const drive of drives) {
    await rm(join(drive, 'meta.db'), { recursive: true })
    await mkdir(join(drive, 'meta.db'))
  }
}

async function logsOf(drive: string): Promise<string[]> {
  return (await readdir(join(drive, 'metalog'))).map((name) => join(drive, 'metalog', name))
}

/** What only rows know. */
async function change(client: S3Client, wanted: Wanted): Promise<void> {
  await put(client, 'plain/empty', Buffer.alloc(0), wanted)
  await client.delete('plain', 'small5')
  wanted.delete('plain/small5')
  await client.delete('kept', 'twice')
  wanted.delete('kept/twice')
  const tags = '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>'
  const query = { tagging: '' }
  await client.send({ method: 'PUT', path: '/plain/large', query, body: Buffer.from(tags) })
}

async function checkAll(t: Test, drives: string[], wanted: Wanted): Promise<void> {
  const server = await start(t, drives)
  const reader = new S3Client(server.endpoint)
  await check(t, reader, wanted)
  t.equal((await reader.get('plain', 'small5')).status, 404)
  t.equal((await reader.get('kept', 'twice')).status, 404)
  const tags = await reader.send({ method: 'GET', path: '/plain/large', query: { tagging: '' } })
  t.match(tags.body.toString(), /<Key>a<\/Key><Value>b<\/Value>/)
  reader.close()
  await server.stop()
}

t.test('logs from the beginning: a start is enough', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives)
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(11))
  await change(writer, wanted)
  writer.close()
  await first.kill()
  await loseRows(drives)
  await checkAll(t, drives, wanted)
})

t.test('a dump, and logs behind it: nothing is unknown', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives, ['--dump-days', '0.00001'])
  const early = new S3Client(first.endpoint)
  const wanted = await fill(early, new Seeded(12))
  await untilDumped(drives, Date.now())
  early.close()
  await first.stop()
  const before = (await Promise.all(drives.map(logsOf))).flat()

  const second = await start(t, drives)
  const writer = new S3Client(second.endpoint)
  await change(writer, wanted)
  await upload(writer, wanted, new Seeded(13))
  writer.close()
  await second.kill()
  for (const log of before) await rm(log, { force: true })
  await loseRows(drives)
  t.match(await refusal(drives), { exitCode: 4, stderr: /kintsugi recover/ })
  const { partitions } = await recoverAll(drives)
  t.equal(partitions.length, PARTITIONS)
  t.ok(partitions.every(({ dumpMs, replayed }) => dumpMs !== undefined && replayed! > 0))
  for (const { report } of partitions)
    t.match(report, { unconfirmed: 0, gone: [], damaged: [], uploads: [], unplaced: [] })
  await checkAll(t, drives, wanted)
})
