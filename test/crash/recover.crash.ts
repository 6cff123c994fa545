// All metadata is deleted: the store says what to do, and recover brings back what dumps and shards know of.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { StoreStatus } from '../../src/gateway/admin-api.ts'
import { S3Client } from '../support/s3.ts'
import { Seeded } from '../support/seeded.ts'
import type { TestServer } from '../support/server.ts'
import {
  check,
  drivesIn,
  fill,
  loseMetadata,
  put,
  recoverAll,
  refusal,
  run,
  start,
} from './recover-store.ts'

t.test('without a dump: every object with bytes', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives)
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(5))
  t.match(await run(['recover', ...drives]), { code: 3, stderr: /in use/ }, 'not while it runs')
  writer.close()
  await first.stop()
  t.match(await run(['recover', ...drives]), { code: 0, stdout: /nothing is to be recovered/ })

  await loseMetadata(drives)
  const { exitCode, stderr } = await refusal(drives)
  t.equal(exitCode, 4)
  t.match(stderr, /kintsugi recover \//)
  t.match(await run(['recover', ...drives]), { code: 0, stdout: /no dump.*Nothing was changed/s })
  const rehearsed = await run(['recover', ...drives, '--dry-run', '--json'])
  t.equal(rehearsed.code, 0, rehearsed.stderr)
  t.equal((await refusal(drives)).exitCode, 4, 'a rehearsal changes nothing')
  const outcome = await recoverAll(drives)
  t.equal(outcome.partitions.length, 8)
  const made = outcome.partitions.reduce((sum, { report }) => sum + report!.unconfirmed, 0)
  t.ok(made >= wanted.size, `${made} versions were made`)
  t.ok(outcome.partitions.every(({ report }) => report!.damaged.length === 0))
  const uploads = outcome.partitions.flatMap(({ report }) => report!.uploads)
  t.match(uploads, [{ key: 'multipart', assumed: 'completed' }], 'what was assumed is said')
  t.match(await run(['recover', ...drives, '--yes']), { stdout: /nothing is to be recovered/ })

  const second = await start(t, drives)
  const reader = new S3Client(second.endpoint)
  await check(t, reader, wanted)
  const versions = await reader.send({ method: 'GET', path: '/kept', query: { versions: '' } })
  t.equal(versions.body.toString().match(/<Version>/g)?.length, 2, 'old versions came back too')
  await put(reader, 'plain/small1', Buffer.from('new'), wanted)
  await check(t, reader, wanted)
  reader.close()
  await second.stop()
})

t.test('with a dump: also what only rows know', { timeout: 600_000 }, async (t) => {
  const drives = drivesIn(t)
  const first = await start(t, drives, ['--dump-days', '0.00001', '--garbage-grace', '3600'])
  const writer = new S3Client(first.endpoint)
  const wanted = await fill(writer, new Seeded(6))
  await put(writer, 'plain/empty', Buffer.alloc(0), wanted)
  const body = Buffer.from(
    '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>',
  )
  const path = '/plain/large'
  const tagged = await writer.send({ method: 'PUT', path, query: { tagging: '' }, body })
  t.equal(tagged.status, 200)
  for (const place of ['plain/small5', 'kept/twice']) {
    const [bucket, key] = place.split('/') as [string, string]
    await writer.delete(bucket, key)
    wanted.delete(place)
  }
  await sleep(8_000)
  writer.close()
  await first.stop()

  await loseMetadata(drives)
  const { partitions } = await recoverAll(drives)
  t.ok(partitions.every(({ dumpMs }) => dumpMs !== undefined))
  t.ok(
    partitions.every(({ report }) => report!.unconfirmed === 0),
    'the dump knew all of it',
  )

  const second = await start(t, drives)
  const reader = new S3Client(second.endpoint)
  await check(t, reader, wanted)
  for (const [bucket, key] of [
    ['plain', 'small5'],
    ['kept', 'twice'],
  ] as const)
    t.equal((await reader.get(bucket, key)).status, 404, `${key} stays deleted`)
  const tags = await reader.send({ method: 'GET', path, query: { tagging: '' } })
  t.match(tags.body.toString(), /<Key>a<\/Key><Value>b<\/Value>/)
  reader.close()
  await second.stop()
})

const SWEEP_ALL = ['--orphan-hours', '0', '--garbage-grace', '1']

/** The status once so many passes for orphans have ended, from its words as well. */
async function sweptTimes({ endpoint }: TestServer, passes: number): Promise<StoreStatus> {
  for (;;) {
    const { code, stdout, stderr } = await run(['status', '--json', '--endpoint', endpoint])
    if (code !== 0) throw new Error(stderr)
    const status = JSON.parse(stdout) as StoreStatus
    if (status.orphans.passes >= passes) return status
    await sleep(300)
  }
}

t.test(
  'what recover could not place is kept until it is released',
  { timeout: 600_000 },
  async (t) => {
    const drives = drivesIn(t)
    const first = await start(t, drives)
    const writer = new S3Client(first.endpoint)
    const head = Buffer.from('head ')
    const offset = { 'x-amz-write-offset-bytes': String(head.length) }
    t.equal((await writer.put('plain', 'grows', head)).status, 200)
    t.equal((await writer.put('plain', 'grows', Buffer.from('and tail'), offset)).status, 200)
    t.equal((await writer.get('plain', 'grows')).body.toString(), 'head and tail')
    writer.close()
    await first.stop()

    await loseMetadata(drives)
    const { partitions } = await recoverAll(drives)
    t.equal(partitions.flatMap(({ report }) => report!.unplaced).length, 1, 'the appended bytes')

    const before = await start(t, drives, SWEEP_ALL)
    const { orphans: held } = await sweptTimes(before, 0)
    t.ok(held.heldSinceMs !== undefined)
    await before.kill()
    const last = await start(t, drives, SWEEP_ALL)
    const { orphans: kept } = await sweptTimes(last, 2)
    t.match(kept, { deleted: 0, adopted: 0 }, 'nor after a restart')
    t.equal(kept.heldSinceMs, held.heldSinceMs)
    const words = await run(['status', '--endpoint', last.endpoint])
    t.match(words.stdout, /kept since the recovery of .*: kintsugi release-orphans/)
    const release = ['release-orphans', '--endpoint', last.endpoint]
    t.match(await run(release), { code: 0, stdout: /were kept since the recovery of/ })
    t.match(await run(release), { code: 0, stdout: /nothing to release/ })
    const now = await sweptTimes(last, 0)
    const { orphans } = await sweptTimes(last, now.orphans.passes + 2)
    t.equal(orphans.deleted, kept.left.held, 'what was kept goes')
    t.match(orphans, { left: { held: 0 } })
    t.equal(orphans.heldSinceMs, undefined)
    await last.stop()
    const after = await start(t, drives, SWEEP_ALL)
    t.match(await run(['release-orphans', '--endpoint', after.endpoint]), {
      stdout: /nothing to release/,
    })
    const reader = new S3Client(after.endpoint)
    t.equal((await reader.get('plain', 'grows')).body.toString(), 'head ')
    reader.close()
    await after.stop()
  },
)
