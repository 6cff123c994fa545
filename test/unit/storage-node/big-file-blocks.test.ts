// Large shards past the page cache: errors of the device come with the write, and file systems that change their mind.
import t from 'tap'
import { putShard, sampleShard } from '../../contracts/shard-samples.ts'
import { ForgetfulMachine } from '../../crash/forgetful-machine.ts'
import { Seeded } from '../../support/seeded.ts'
import { ShardFixture, SMALL } from './shard-fixture.ts'

async function openFixture(): Promise<ShardFixture> {
  return await ShardFixture.open(SMALL, new ForgetfulMachine(1, { disk: { isThrough: true } }))
}

/** A shard in a file of its own. */
const large = (seed: number) => sampleShard(new Seeded(seed), 20_000, 4096)

t.test('whatever the device says of a write, the drive failed', async (t) => {
  for (const code of ['ENODATA', 'ETIMEDOUT', 'Unknown system error -67', 'EIO']) {
    const { store, drive, machine } = await openFixture()
    machine.disk.fault = ({ kind, path }) =>
      kind === 'write' && path.includes('/big/') ? code : undefined
    await t.rejects(putShard(store, large(1)), { code: 'DRIVE_UNAVAILABLE' })
    t.match(drive.failure, { code }, code)
  }
})

t.test('what a write lacks, or a call that was wrong, is not the drive', async (t) => {
  for (const code of ['ENOMEM', 'EAGAIN', 'EBADF']) {
    const { store, drive, machine } = await openFixture()
    machine.disk.fault = ({ kind, path }) =>
      kind === 'write' && path.includes('/big/') ? code : undefined
    await t.rejects(putShard(store, large(1)))
    t.equal(drive.failure, undefined, code)
    machine.disk.fault = () => undefined
    await putShard(store, large(2))
    await store.close()
  }
})

t.test('a file system that refuses after all gets no more blocks', async (t) => {
  for (const refused of ['write', 'create'] as const) {
    const { store, drive, machine } = await openFixture()
    let refusals = 0
    machine.disk.fault = ({ kind, path }) => {
      if (kind !== refused || !path.includes('/big/') || refusals > 0) return undefined
      refusals += 1
      return 'EINVAL'
    }
    const first = putShard(store, large(1))
    if (refused === 'write') await t.rejects(first, { code: 'EINVAL' })
    else await first
    await putShard(store, large(2))
    t.equal(refusals, 1)
    t.equal(drive.failure, undefined)
    await store.close()
  }
})
