// A shard that lies on its drive twice is read from where it is whole.
import t from 'tap'
import type { ShardReader } from '../../../src/storage-node/contract.ts'
import { EitherReader } from '../../../src/storage-node/either-reader.ts'
import { judgeShard, putShard, sampleShard } from '../../contracts/shard-samples.ts'
import { ForgetfulMachine } from '../../crash/forgetful-machine.ts'
import { DRIVE_PATH, INDEX_PATH, makeDrive, start, stop } from '../../crash/shard-script.ts'
import { Seeded } from '../../support/seeded.ts'

t.test('a record that rotted does not hide the file that replaced it', async (t) => {
  const machine = new ForgetfulMachine(1)
  await makeDrive(machine)
  const seeded = new Seeded(1)
  const shard = sampleShard(seeded, 2000, 1024)
  const later = sampleShard(seeded, 500, 1024)
  const before = await start(machine, machine.world, 4000)
  await putShard(before.store, shard)
  // Not the last group of its segment: what lies there is looked at when the index is made again.
  await putShard(before.store, later)
  await stop(before)
  const [segment] = machine.disk.files(`${DRIVE_PATH}/seg`)
  const at = Buffer.from(machine.disk.bytesOf(segment!)).indexOf(shard.bytes.subarray(0, 16))
  machine.disk.flip(segment!, at)
  const mending = await start(machine, machine.world, 900)
  t.equal(await judgeShard(mending.store, shard), 'corrupt')
  await putShard(mending.store, shard)
  t.equal(await judgeShard(mending.store, shard), 'whole')
  await stop(mending)
  machine.levels.clear(INDEX_PATH)
  const refilled = await start(machine)
  t.equal(await judgeShard(refilled.store, shard), 'whole')
  t.equal(await judgeShard(refilled.store, later), 'whole')
  await refilled.store.deleteShard(shard.description.id)
  t.equal(await judgeShard(refilled.store, shard), 'missing', 'both are deleted')
  await stop(refilled)
})

t.test('what is damaged in both places is told as the first one tells it', async (t) => {
  const closed: string[] = []
  const broken = (name: string): ShardReader => ({
    readCell: async () => ({ kind: 'corrupt', detail: name }),
    describe: async () => ({ kind: 'corrupt', detail: name }),
    close: async () => {
      closed.push(name)
    },
  })
  const reader = new EitherReader(broken('first'), async () => broken('other'))
  t.same(await reader.readCell(0, Buffer.alloc(1)), { kind: 'corrupt', detail: 'first' })
  t.same(await reader.describe(), { kind: 'corrupt', detail: 'first' })
  await reader.close()
  t.same(closed, ['first', 'other'])
  const alone = new EitherReader(broken('first'), async () => undefined)
  t.same(await alone.readCell(0, Buffer.alloc(1)), { kind: 'corrupt', detail: 'first' })
  await alone.close()
})
