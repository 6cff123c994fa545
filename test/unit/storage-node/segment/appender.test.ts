// The appender: shards that come together share a sync, and a segment is never appended to twice.
import t from 'tap'
import { putShard, sampleShard } from '../../../contracts/shard-samples.ts'
import { ForgetfulMachine } from '../../../crash/forgetful-machine.ts'
import { Seeded } from '../../../support/seeded.ts'
import { ShardFixture, SMALL } from '../shard-fixture.ts'

function syncsOf(fixture: ShardFixture): number {
  return fixture.machine.disk.trace.filter((line) => / sync .*\.seg/.test(line)).length
}

t.test('a group shares one sync', async (t) => {
  const fixture = await ShardFixture.open({ graceMs: 0 })
  await fixture.put(new Seeded(1), 1, 100)
  const before = syncsOf(fixture)
  await fixture.put(new Seeded(2), 100, 100)
  t.ok(syncsOf(fixture) - before <= 2, `${syncsOf(fixture) - before} syncs for 100 shards`)
})

t.test('shards one by one take a sync each', async (t) => {
  const fixture = await ShardFixture.open({ graceMs: 0 })
  const seeded = new Seeded(3)
  for (let count = 0; count < 5; count += 1) await putShard(fixture.store, sampleShard(seeded, 10))
  t.equal(syncsOf(fixture), 6, 'and one for the new segment')
})

t.test('segments are as long as they may be, and new ones after a restart', async (t) => {
  const fixture = await ShardFixture.open(SMALL)
  await fixture.put(new Seeded(1), 60, 900)
  const { disk } = fixture.machine
  for (const path of fixture.segments()) t.ok(disk.bytesOf(path).length <= 16 * 1024, path)
  const before = fixture.segments().map((path) => [path, disk.bytesOf(path).length])
  await fixture.reopen()
  await fixture.put(new Seeded(2), 3, 900)
  const after = fixture.segments().map((path) => [path, disk.bytesOf(path).length])
  t.same(after.slice(0, before.length), before)
  t.equal(after.length, before.length + 1)
})

t.test('where write and sync are one, a segment that lacked something gets no more', async (t) => {
  for (const code of ['ENOSPC', 'ENOMEM']) {
    const machine = new ForgetfulMachine(1, { disk: { isThrough: true } })
    const fixture = await ShardFixture.open({ graceMs: 0 }, machine)
    const seeded = new Seeded(1)
    await fixture.put(seeded, 1, 100)
    let isDone = false
    machine.disk.fault = ({ kind, path }) => {
      if (isDone || kind !== 'sync' || !path.endsWith('.seg')) return undefined
      isDone = true
      return code
    }
    await t.rejects(fixture.put(seeded, 1, 100), code)
    t.equal(fixture.drive.failure, undefined, code)
    machine.clock.nowMs += 2000
    const [left] = fixture.segments()
    const before = machine.disk.bytesOf(left!)
    await fixture.put(seeded, 1, 100)
    const after = fixture.segments().map((path) => machine.disk.bytesOf(path))
    t.ok(after.length === 2 && before.every((byte, at) => after[0]![at] === byte), code)
    t.equal(after[0]!.length, before.length, code)
  }
})
