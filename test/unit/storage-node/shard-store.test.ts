// The shard store against damage: torn tails, rot, lost indexes, full and vanished drives.
import t from 'tap'
import { KeyKind } from '../../../src/storage-node/index/index-rows.ts'
import {
  judgeShard,
  putShard,
  type SampleShard,
  sampleShard,
  writeCells,
} from '../../contracts/shard-samples.ts'
import { ForgetfulMachine } from '../../crash/forgetful-machine.ts'
import { Seeded } from '../../support/seeded.ts'
import { PATH, ShardFixture, SMALL } from './shard-fixture.ts'

async function judgeAll(fixture: ShardFixture, shards: SampleShard[]): Promise<string[]> {
  return await Promise.all(shards.map((shard) => judgeShard(fixture.store, shard)))
}

const all = (state: string, count: number): string[] => Array.from({ length: count }, () => state)

t.test('the last group of a segment, cut at every byte', async (t) => {
  const fixture = await ShardFixture.open({ ...SMALL, segmentBytes: 64 * 1024 })
  const seeded = new Seeded(4)
  const before = await fixture.put(seeded, 3, 700)
  const [path] = fixture.segments()
  const safeBytes = fixture.machine.disk.bytesOf(path!).length
  const last = [sampleShard(seeded, 300), sampleShard(seeded, 300)]
  // Records of one size, which lie in the order in which they are put.
  for (const { description } of last)
    Object.assign(description, { key: 'k', metadata: Buffer.alloc(0) })
  await Promise.all(last.map((shard) => putShard(fixture.store, shard)))
  const wholeBytes = fixture.machine.disk.bytesOf(path!).length
  const recordBytes = (wholeBytes - safeBytes) / 2
  const faults: string[] = []
  for (let bytes = safeBytes; bytes <= wholeBytes; bytes += 13) {
    const torn = await fixture.crashed((machine) => machine.disk.cut(path!, bytes))
    if ((await judgeAll(torn, before)).some((judged) => judged !== 'whole')) faults.push(`${bytes}`)
    const judged = await judgeAll(torn, last)
    const whole = Math.floor((bytes - safeBytes) / recordBytes)
    const wanted = [...all('whole', whole), ...all('missing', 2 - whole)]
    if (judged.join() !== wanted.join()) faults.push(`cut at ${bytes}: ${judged}`)
    const [next] = await torn.put(new Seeded(bytes), 1, 200)
    if ((await judgeShard(torn.store, next!)) !== 'whole') faults.push(`after ${bytes}`)
  }
  t.same(faults, [])
})

t.test(
  'flipped bytes anywhere in a segment: never a wrong byte, and the others survive',
  async (t) => {
    const fixture = await ShardFixture.open({ ...SMALL, segmentBytes: 64 * 1024 })
    const shards = await fixture.put(new Seeded(6), 8, 1100)
    const [path] = fixture.segments()
    const bytes = fixture.machine.disk.bytesOf(path!).length
    const faults: string[] = []
    for (let offset = 0; offset < bytes; offset += 61) {
      for (const lostIndex of [false, true]) {
        fixture.machine.disk.flip(path!, offset, 0x10)
        await fixture.reopen(() => {
          if (lostIndex) fixture.machine.levels.clear(`${PATH}/shards.db`)
        })
        const judged = await judgeAll(fixture, shards)
        if (judged.includes('wrong')) faults.push(`${offset}: wrong bytes`)
        if (judged.filter((each) => each !== 'whole').length > 1)
          faults.push(`${offset}: ${judged}`)
        fixture.machine.disk.flip(path!, offset, 0x10)
      }
    }
    t.same(faults, [])
    await fixture.reopen(() => fixture.machine.levels.clear(`${PATH}/shards.db`))
    t.same(await judgeAll(fixture, shards), all('whole', 8))
  },
)

t.test('flipped bytes in a large shard', async (t) => {
  const fixture = await ShardFixture.open()
  const [shard] = await fixture.put(new Seeded(9), 1, 5000)
  const [path] = fixture.machine.disk.files(`${PATH}/big`)
  const bytes = fixture.machine.disk.bytesOf(path!).length
  for (let offset = 0; offset < bytes; offset += 97) {
    fixture.machine.disk.flip(path!, offset, 0x04)
    t.not(await judgeShard(fixture.store, shard!), 'wrong', `${offset}`)
    fixture.machine.disk.flip(path!, offset, 0x04)
  }
  fixture.machine.disk.cut(path!, 3000)
  t.equal(await judgeShard(fixture.store, shard!), 'corrupt')
  fixture.machine.disk.cut(path!, 10)
  t.equal(await judgeShard(fixture.store, shard!), 'corrupt')
})

t.test(
  'deleted shards stay deleted after a clean stop, and nothing is scanned again',
  async (t) => {
    const fixture = await ShardFixture.open()
    const shards = await fixture.put(new Seeded(2), 30, 900)
    for (const shard of shards.slice(0, 10)) await fixture.store.deleteShard(shard.description.id)
    await fixture.reopen()
    t.same(await judgeAll(fixture, shards), [...all('missing', 10), ...all('whole', 20)])
    t.same(fixture.warnings, [])
  },
)

t.test('a lost index is made again; what was deleted may come back, nothing is lost', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(3), 40, 900)
  const large = await fixture.put(new Seeded(5), 2, 4000)
  await fixture.store.deleteShard(shards[0]!.description.id)
  await fixture.reopen(() => fixture.machine.levels.clear(`${PATH}/shards.db`))
  t.same(await judgeAll(fixture, shards.slice(1)), all('whole', 39))
  t.same(await judgeAll(fixture, large), all('whole', 2))
  await fixture.reopen()
  t.same(await judgeAll(fixture, shards.slice(1)), all('whole', 39))
})

t.test('a rotten row: the index is made again, at start and while it serves', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(8), 20, 900)
  const { levels } = fixture.machine
  for (const byte of [0, 5, 19, 27]) {
    await fixture.reopen(async () => {
      const done = await levels.rot(
        `${PATH}/shards.db`,
        (key) => key[0] === KeyKind.Shard,
        (value) => {
          value[byte]! ^= 1
        },
      )
      t.ok(done)
    })
    t.same(await judgeAll(fixture, shards), all('whole', 20), `byte ${byte}`)
  }
  t.match(fixture.warnings, ['the shard index is damaged: mending it'])
})

t.test('a row that rots while the store serves', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(8), 20, 900)
  const rot = (value: Uint8Array): void => {
    value[9]! ^= 1
  }
  const path = `${PATH}/shards.db`
  t.ok(await fixture.machine.levels.rot(path, (key) => key[0] === KeyKind.Shard, rot))
  const [more, judged] = await Promise.all([
    fixture.put(new Seeded(9), 5, 700),
    judgeAll(fixture, shards),
  ])
  t.same(judged, all('whole', 20))
  t.same(await judgeAll(fixture, [...shards, ...more]), all('whole', 25))
  t.same(fixture.warnings, ['the shard index is damaged: mending it'])
  await fixture.reopen()
  t.same(await judgeAll(fixture, [...shards, ...more]), all('whole', 25))
})

t.test('rows that LevelDB lost without a word are missed', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(8), 30, 900)
  await fixture.reopen()
  await fixture.reopen(() => fixture.machine.levels.loseRows(`${PATH}/shards.db`, 3))
  t.same(await judgeAll(fixture, shards), all('whole', 30))
  t.match(fixture.warnings, ['the index lost rows of a segment'])
})

t.test('what LevelDB confesses in its own log', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = await fixture.put(new Seeded(8), 10, 900)
  await fixture.reopen(async () => {
    const { disk } = fixture.machine
    const log = await disk.open(`${PATH}/shards.db/LOG`, 'create')
    await log.write([Buffer.from('1 (ignoring error) dropping 3002 bytes; Corruption\n')], 0)
  })
  t.same(await judgeAll(fixture, shards), all('whole', 10))
  t.same(fixture.warnings, ['the shard index is damaged: mending it'])
})

t.test('leftovers of writers that never committed are removed', async (t) => {
  const fixture = await ShardFixture.open()
  const shard = sampleShard(new Seeded(1), 6000, 512)
  await writeCells(fixture.store, shard)
  t.equal(fixture.machine.disk.files(`${PATH}/big/tmp`).length, 1)
  await fixture.reopen()
  t.same(fixture.machine.disk.files(`${PATH}/big/tmp`), [])
  t.equal(await judgeShard(fixture.store, shard), 'missing')
})

for (const shardBytes of [800, 6000]) {
  t.test(`a directory that vanishes is noticed before the ack: ${shardBytes} bytes`, async (t) => {
    for (const gone of [PATH, `${PATH}/seg`, `${PATH}/big`]) {
      if (gone === `${PATH}/${shardBytes > 2500 ? 'seg' : 'big'}`) continue
      const fixture = await ShardFixture.open()
      await fixture.put(new Seeded(2), 2, shardBytes)
      const writer = await writeCells(fixture.store, sampleShard(new Seeded(1), shardBytes, 512))
      await fixture.machine.disk.removeTree(gone)
      await t.rejects(writer.commit(), { name: 'DriveUnavailable', trouble: 'failed' }, gone)
      await writer.abort()
      t.ok(fixture.drive.failure)
      const { description } = sampleShard(new Seeded(1), 10)
      await t.rejects(fixture.store.beginShard(description), {
        name: 'DriveUnavailable',
        trouble: 'failed',
      })
      await t.rejects(fixture.store.openShard(description.id), {
        name: 'DriveUnavailable',
        trouble: 'failed',
      })
      await fixture.store.close()
      await fixture.drive.close()
    }
  })
}

t.test('a directory that vanished holds nothing, but it does not say "missing"', async (t) => {
  const fixture = await ShardFixture.open()
  await fixture.machine.disk.removeTree(PATH)
  const { description } = sampleShard(new Seeded(1), 10)
  await t.rejects(fixture.store.openShard(description.id), {
    name: 'DriveUnavailable',
    trouble: 'failed',
  })
})

t.test(
  'a full drive refuses, keeps what it has, and serves again when there is room',
  async (t) => {
    const machine = new ForgetfulMachine(1, { disk: { capacityBytes: 80_000 } })
    let fixture = await ShardFixture.open(SMALL, machine)
    const seeded = new Seeded(12)
    const kept: SampleShard[] = []
    const refused = { name: 'DriveUnavailable', trouble: 'full' }
    for (let count = 0; count < 200; count += 1) {
      const shard = sampleShard(seeded, count % 5 === 0 ? 4000 : 1500, 512)
      try {
        await putShard(fixture.store, shard)
        kept.push(shard)
      } catch (error) {
        t.match(error, refused)
        break
      }
    }
    t.ok(kept.length > 20 && kept.length < 199)
    t.same(await judgeAll(fixture, kept), all('whole', kept.length))
    t.same(await fixture.store.compactOnce(), { removed: [] }, 'nothing is copied on a full drive')
    const gone = kept.splice(0, 25)
    for (const shard of gone) await fixture.store.deleteShard(shard.description.id)
    await fixture.store.compactOnce()
    machine.clock.nowMs += 2000
    kept.push(...(await fixture.put(seeded, 3, 1500)))
    fixture = await fixture.crashed()
    t.same(await judgeAll(fixture, kept), all('whole', kept.length))
  },
)

t.test('no space in the middle of a group', async (t) => {
  let fixture = await ShardFixture.open()
  const seeded = new Seeded(3)
  const kept = await fixture.put(seeded, 3, 1500)
  let left = 3
  fixture.machine.disk.fault = ({ kind, path }) => {
    if (kind !== 'write' || !path.endsWith('.seg') || left === 0) return undefined
    left -= 1
    return 'ENOSPC'
  }
  for (let attempt = 0; attempt < 3; attempt += 1) {
    await t.rejects(fixture.put(seeded, 2, 1000), { name: 'DriveUnavailable', trouble: 'full' })
    // A refusal is believed for a while.
    fixture.machine.clock.nowMs += 2000
  }
  t.equal(fixture.drive.failure, undefined)
  kept.push(...(await fixture.put(seeded, 3, 1500)))
  t.same(await judgeAll(fixture, kept), all('whole', 6))
  fixture = await fixture.crashed()
  t.same(await judgeAll(fixture, kept), all('whole', 6))
})

t.test('an error of the disk fails the drive for good', async (t) => {
  for (const kind of ['write', 'sync', 'sync-directory'] as const) {
    const fixture = await ShardFixture.open()
    await fixture.put(new Seeded(3), 1, 1500)
    fixture.machine.disk.fault = (operation) => (operation.kind === kind ? 'EIO' : undefined)
    const failed = { name: 'DriveUnavailable', trouble: 'failed' }
    await t.rejects(fixture.put(new Seeded(4), 1, 4000), failed, kind)
    fixture.machine.disk.fault = () => undefined
    await t.rejects(fixture.put(new Seeded(5), 1, 10), failed, 'it stays failed')
  }
})

t.test(
  'a directory that takes no files any more fails the drive: the others go on without it',
  async (t) => {
    const failed = { name: 'DriveUnavailable', trouble: 'failed' }
    for (const code of ['EACCES', 'EPERM'] as const) {
      for (const kind of ['create', 'rename'] as const) {
        const fixture = await ShardFixture.open()
        fixture.machine.disk.fault = (operation) => (operation.kind === kind ? code : undefined)
        await t.rejects(fixture.put(new Seeded(4), 1, 4000), failed, `${code} of a large one`)
        t.ok(fixture.drive.failure)
      }
      const fixture = await ShardFixture.open()
      fixture.machine.disk.fault = ({ kind }) => (kind === 'create' ? code : undefined)
      await t.rejects(fixture.put(new Seeded(4), 1, 10), failed, `${code} of a segment`)
    }
  },
)

t.test('what a drive can not read is damage of that shard alone', async (t) => {
  for (const shardBytes of [1500, 6000]) {
    const fixture = await ShardFixture.open()
    const [shard, other] = await fixture.put(new Seeded(3), 2, shardBytes)
    const { disk } = fixture.machine
    let errors = 0
    disk.fault = ({ kind }) => {
      if (kind !== 'read' || errors === 1) return undefined
      errors += 1
      return 'EIO'
    }
    t.match(await judgeShard(fixture.store, shard!), /corrupt/)
    t.equal(errors, 1)
    t.equal(fixture.drive.failure, undefined)
    t.equal(await judgeShard(fixture.store, other!), 'whole')
    const again = { ...shard!, bytes: new Seeded(9).bytes(shardBytes) }
    await putShard(fixture.store, again)
    t.equal(await judgeShard(fixture.store, again), 'whole', 'it is made again in its place')
  }
})

t.test('a segment that can not be written to is left for another, once', async (t) => {
  const fixture = await ShardFixture.open()
  const [before] = await fixture.put(new Seeded(3), 1, 1500)
  const { disk } = fixture.machine
  let errors = 0
  disk.fault = ({ kind }) => {
    if (kind !== 'write' || errors === 1) return undefined
    errors += 1
    return 'EIO'
  }
  const [after] = await fixture.put(new Seeded(4), 1, 1500)
  t.equal(errors, 1)
  t.equal(fixture.segments().length, 2)
  const shards = [before!, after!]
  t.same(await judgeAll(fixture, shards), all('whole', 2))
  t.same(await judgeAll(await fixture.crashed(), shards), all('whole', 2))
  disk.fault = ({ kind, path }) => (kind === 'write' && path.includes('/seg/') ? 'EIO' : undefined)
  const failed = { name: 'DriveUnavailable', trouble: 'failed' }
  await t.rejects(fixture.put(new Seeded(5), 1, 1500), failed)
  t.match(fixture.drive.failure, { message: /nor elsewhere/ })
})

t.test('too many shards in memory get files of their own', async (t) => {
  const fixture = await ShardFixture.open({ graceMs: 0, bufferBytes: 400_000 })
  const seeded = new Seeded(3)
  const shards = Array.from({ length: 5 }, () => sampleShard(seeded, 150_000))
  const writers = await Promise.all(shards.map((shard) => writeCells(fixture.store, shard)))
  await Promise.all(writers.map((writer) => writer.commit()))
  t.same(await judgeAll(fixture, shards), all('whole', 5))
  t.equal(fixture.machine.disk.files(`${PATH}/big`).length, 3)
  const again = { ...shards[4]!, bytes: seeded.bytes(150_000) }
  await putShard(fixture.store, again)
  t.equal(await judgeShard(fixture.store, again), 'whole', 'in a segment now')
  await fixture.store.deleteShard(again.description.id)
  t.equal(await judgeShard(fixture.store, again), 'missing', 'both are gone')
})

t.test('a deletion that hung does not delete the shard that was written again', async (t) => {
  for (const shardBytes of [1500, 6000]) {
    const fixture = await ShardFixture.open()
    const { disk } = fixture.machine
    const [shard] = await fixture.put(new Seeded(3), 1, 6000)
    const { id } = shard!.description
    let goOn = (): void => {}
    const hangs = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const remove = disk.remove.bind(disk)
    disk.remove = async (path) => {
      if (path.includes(id.uid)) await hangs
      await remove(path)
    }
    const deleted = fixture.store.deleteShard(id)
    const again = sampleShard(new Seeded(4), shardBytes, 512)
    again.description.id = id
    const written = putShard(fixture.store, again)
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
    goOn()
    await Promise.all([deleted, written])
    t.equal(await judgeShard(fixture.store, again), 'whole')
    const crashed = await fixture.crashed()
    t.equal(await judgeShard(crashed.store, again), 'whole', 'and after a crash')
  }
})

t.test('scan() names every shard once, as it was described', async (t) => {
  const fixture = await ShardFixture.open()
  const shards = [
    ...(await fixture.put(new Seeded(3), 20, 1200)),
    ...(await fixture.put(new Seeded(4), 3, 3000)),
  ]
  await fixture.store.deleteShard(shards[0]!.description.id)
  const found = new Map<string, unknown>()
  for await (const description of fixture.store.scan()) found.set(description.id.uid, description)
  t.equal(found.size, 22)
  for (const { description } of shards.slice(1)) {
    t.same(found.get(description.id.uid), description)
  }
})
