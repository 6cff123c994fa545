// The coordinator's state is lost on all drives: the store says what to do, and recover makes a new one, never over one that exists.
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { RecoverOutcome } from '../../src/embedded/recover.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import { check, drivesIn, fill, loseMetadata, put, refusal, run, start } from './recover-store.ts'

async function loseDirectories(drives: readonly string[], names: readonly string[]): Promise<void> {
  for (const drive of drives)
    for (const name of names) await rm(join(drive, name), { recursive: true, force: true })
}

/** Every decision has a flipped byte. */
async function rotDecisions(drives: readonly string[]): Promise<void> {
  for (const drive of drives)
    for (const name of await readdir(join(drive, 'coordinator'))) {
      const path = join(drive, 'coordinator', name)
      const bytes = await readFile(path)
      bytes[bytes.length >> 1]! ^= 4
      await writeFile(path, bytes)
    }
}

/** Copies are a little behind: until they know the last that was decided in fill(). */
async function untilCopied(drives: readonly string[]): Promise<void> {
  for (const drive of drives)
    while (!/"versioning":"enabled"/.test(await readFile(join(drive, 'coordinator.copy'), 'utf8')))
      await sleep(100)
}

async function recoverAll(
  drives: readonly string[],
  ...options: string[]
): Promise<RecoverOutcome> {
  const done = await run(['recover', ...drives, '--json', ...options])
  if (done.code !== 0) throw new Error(done.stderr)
  return JSON.parse(done.stdout) as RecoverOutcome
}

t.test(
  'every decision rotted: metadata that is there serves on',
  { timeout: 600_000 },
  async (t) => {
    const drives = drivesIn(t)
    const first = await start(t, drives)
    const writer = new S3Client(first.endpoint)
    const wanted = await fill(writer, new Seeded(7))
    await put(writer, 'plain/empty', Buffer.alloc(0), wanted)
    writer.close()
    await untilCopied(drives)
    // Between markers: there is something to replay.
    await first.kill()
    await rotDecisions(drives)
    const { exitCode, stderr } = await refusal(drives)
    t.equal(exitCode, 4)
    t.match(stderr, /kintsugi recover/)

    const planned = await recoverAll(drives)
    t.match(planned.coordinator, { source: 'copy', lostPartitions: [], code: '4+2' })
    t.match(planned.coordinator?.buckets, ['plain', 'kept'])
    t.equal((await refusal(drives)).exitCode, 4, 'a plan changes nothing')
    const lacking = await run(['recover', ...drives.slice(1), '--yes'])
    t.match(lacking, { code: 4, stderr: /give it as well/ }, 'a drive that is there is asked')
    const done = await recoverAll(drives, '--yes')
    t.match(done, { partitions: [], coordinator: { source: 'copy', lacksKeys: false } })
    t.match(await run(['recover', ...drives]), { stdout: /nothing is to be recovered/ })
    const aside = await readdir(join(drives[0]!, 'coordinator.aside'))
    t.ok(aside.length > 0, 'what rotted is kept')

    const second = await start(t, drives)
    const reader = new S3Client(second.endpoint)
    await check(t, reader, wanted)
    await put(reader, 'kept/new', Buffer.from('new'), wanted)
    await put(reader, 'plain/small1', Buffer.from('newer'), wanted)
    await check(t, reader, wanted)
    const versions = await reader.send({ method: 'GET', path: '/kept', query: { versions: '' } })
    t.equal(versions.body.toString().match(/<Version>/g)?.length, 3, 'the bucket keeps versions')
    const made = await reader.send({ method: 'PUT', path: '/another' })
    t.equal(made.status, 200, 'buckets are made')
    const status = await run(['status', '--json', '--endpoint', second.endpoint])
    t.match(JSON.parse(status.stdout), { orphans: { heldSinceMs: Number } })
    reader.close()
    await second.stop()
  },
)

t.test('coordinator, metadata and copies gone: shards say', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives)
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(8))
  const listed = (await writer.send({ method: 'GET', path: '/' })).body.toString()
  t.match(listed, /plain/)
  writer.close()
  await first.stop()
  await loseDirectories(drives, ['coordinator', 'coordinator.copy', 'dump'])
  t.match(await run(['recover', ...drives, '--yes']), { code: 4, stderr: /seed of the map/ })
  await loseMetadata(drives)
  const { coordinator, partitions } = await recoverAll(drives, '--yes')
  t.match(coordinator, { source: 'shards', code: '4+2', lacksKeys: true })
  t.match(coordinator?.namelessBuckets, ['recovered-1', 'recovered-2'])
  t.equal(partitions.length, 8)

  const second = await start(t, drives)
  const reader = new S3Client(second.endpoint)
  // Encrypted with a key of the store, which is lost with its state.
  const readable = [...wanted].filter(([place]) => !/secret|multipart/.test(place))
  const names = coordinator!.namelessBuckets
  const isFirst = (await reader.get(names[0]!, 'large')).status === 200
  const plain = isFirst ? names[0] : names[1]
  const kept = isFirst ? names[1] : names[0]
  const moved = readable.map(([place, what]) => {
    const [bucket, key] = place.split('/')
    return [`${bucket === 'plain' ? plain : kept}/${key}`, what] as const
  })
  await check(t, reader, new Map(moved))
  const versions = await reader.send({ method: 'GET', path: `/${kept}`, query: { versions: '' } })
  t.equal(versions.body.toString().match(/<Version>/g)?.length, 2, 'it keeps versions')
  t.not((await reader.get(plain!, 'secret')).status, 200, 'no wrong byte is given')
  reader.close()
  await second.stop()
})

t.test('a state that exists is never made anew', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives)
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(9))
  writer.close()
  await first.stop()
  // One drive still has decisions, another is away.
  await loseDirectories(drives.slice(0, 5), ['coordinator'])
  const there = await readdir(join(drives[5]!, 'coordinator'))
  await run(['recover', ...drives, '--yes'])
  t.same((await readdir(join(drives[5]!, 'coordinator'))).slice(0, 1), there.slice(0, 1))
  t.equal(wanted.size > 0, true)
  await loseDirectories(drives, ['coordinator'])
  const marker = join(drives[5]!, 'format.json')
  await rename(marker, `${marker}.away`)
  t.match(await run(['recover', ...drives, '--yes']), { code: 4, stderr: /can not be recognised/ })
  const away = drives.slice(0, 5)
  await rm(drives[5]!, { recursive: true })
  t.match(await run(['recover', ...away, '--yes']), { code: 4, stderr: /--without-missing/ })
  const { coordinator } = await recoverAll(away, '--yes', '--without-missing')
  t.equal(coordinator?.missingDrives.length, 1)
  const second = await start(t, away)
  const reader = new S3Client(second.endpoint)
  await check(t, reader, wanted)
  reader.close()
  await second.stop()
})
