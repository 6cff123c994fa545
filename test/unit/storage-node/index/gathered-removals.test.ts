// Removals that are asked for at the same time go together, and never before a change that was asked for earlier.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { ShardId } from '../../../../src/storage-node/contract.ts'
import { Drive } from '../../../../src/storage-node/drive.ts'
import { formatDrive } from '../../../../src/storage-node/drive-format.ts'
import type { OpenLevel } from '../../../../src/storage-node/drive-lock.ts'
import {
  GatheredRemovals,
  RemovalGroup,
} from '../../../../src/storage-node/index/gathered-removals.ts'
import { ShardStore } from '../../../../src/storage-node/shard-store.ts'
import { judgeShard, putShard, sampleShard } from '../../../contracts/shard-samples.ts'
import { ForgetfulMachine } from '../../../crash/forgetful-machine.ts'
import { Seeded } from '../../../support/seeded.ts'
import { MARKER, PATH, ShardFixture, SMALL } from '../shard-fixture.ts'

function idOf(slot: number): ShardId {
  return { uid: '0'.repeat(32) as Uid, part: 0, slot }
}

/** An index whose turn comes when the test says so. */
function openGathered() {
  const turns: { group: RemovalGroup; begin: () => void; end: () => void }[] = []
  const removals = new GatheredRemovals(
    (group, begin) => new Promise((end) => turns.push({ group, begin, end })),
  )
  const slots = () => turns.map(({ group }) => group.ids.map(({ slot }) => slot))
  return { removals, turns, slots }
}

t.test(
  'what comes before its turn joins the group, and what comes then is the next one',
  async (t) => {
    const { removals, turns, slots } = openGathered()
    const asked = [removals.add(idOf(1)), removals.add(idOf(2))]
    turns[0]!.begin()
    asked.push(removals.add(idOf(3)))
    t.strictSame(slots(), [[1, 2], [3]])
    for (const { group, end } of turns) {
      for (const id of group.ids) group.note(id, id.slot !== 2)
      end()
    }
    t.strictSame(await Promise.all(asked), [true, false, true])
  },
)

t.test('what is asked for behind another change goes behind it', async (t) => {
  const { removals, slots } = openGathered()
  void removals.add(idOf(1))
  removals.closeGroup()
  void removals.add(idOf(2))
  void removals.add(idOf(3))
  t.strictSame(slots(), [[1], [2, 3]])
})

t.test('a group has an end', async (t) => {
  const { removals, slots } = openGathered()
  for (let slot = 0; slot < 300; slot += 1) void removals.add(idOf(slot))
  t.strictSame(
    slots().map(({ length }) => length),
    [128, 128, 44],
  )
})

t.test('where it fails all of the group hear of it, and the next ones try again', async (t) => {
  let fails = true
  const removals = new GatheredRemovals(async (group) => {
    if (fails) throw new Error('no room')
    for (const id of group.ids) group.note(id, true)
  })
  const failed = await Promise.allSettled([removals.add(idOf(1)), removals.add(idOf(2))])
  t.strictSame(
    failed.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  fails = false
  t.equal(await removals.add(idOf(1)), true)
})

t.test(
  'a shard that is named twice is removed once, and both hear what became of it',
  async (t) => {
    for (const error of [undefined, new Error('no room')]) {
      const group = new RemovalGroup()
      const asked = [1, 2, 1].map((slot) => group.add(idOf(slot)))
      t.strictSame(group.ids, [idOf(1), idOf(2)])
      group.note(idOf(2), false)
      if (error === undefined) group.note(idOf(1), true)
      group.end(error)
      const told = await Promise.allSettled(asked)
      t.strictSame(
        told.map((one) => (one.status === 'fulfilled' ? one.value : 'failed')),
        error === undefined ? [true, false, false] : ['failed', false, 'failed'],
      )
    }
  },
)

t.test('what a try found counts no more when another one begins', async (t) => {
  const group = new RemovalGroup()
  const asked = group.add(idOf(1))
  group.begin()
  group.note(idOf(1), false)
  group.begin()
  group.end(new Error('the index is broken'))
  await t.rejects(asked, /the index is broken/)
})

/** A store whose index can not be written once, when the test says so. */
async function openFailing() {
  const machine = new ForgetfulMachine(1)
  await machine.disk.makeDirectory(PATH)
  await machine.disk.syncDirectory('/')
  await formatDrive(machine.world, PATH, MARKER)
  let failing: { reach: () => void; failed: Promise<void> } | undefined
  const openLevel: OpenLevel = async (...request) => {
    const level = await machine.levels.openLevel(...request)
    const batch = level.batch.bind(level)
    return Object.assign(level, {
      batch: async (...changes: Parameters<typeof batch>) => {
        const now = failing
        failing = undefined
        if (now === undefined) return await batch(...changes)
        now.reach()
        await now.failed
        throw Object.assign(new Error('IO error: hiccup'), { code: 'LEVEL_IO_ERROR' })
      },
    })
  }
  const drive = await Drive.open(machine.world, PATH, MARKER, { openLevel })
  const store = await ShardStore.open(
    drive,
    { world: machine.world, log: silentLog, openLevel },
    SMALL,
  )
  const failNextBatch = (): { reached: Promise<void>; fail: () => void } => {
    let reach = (): void => {}
    let fail = (): void => {}
    const reached = new Promise<void>((resolve) => {
      reach = resolve
    })
    const failed = new Promise<void>((resolve) => {
      fail = resolve
    })
    failing = { reach, failed }
    return { reached, fail }
  }
  return { store, failNextBatch }
}

t.test('a change that is made again forgets nothing that was written since', async (t) => {
  const { store, failNextBatch } = await openFailing()
  const [there, gone] = [11, 12].map((seed) => sampleShard(new Seeded(seed), 100, 512))
  await putShard(store, there!)
  const failing = failNextBatch()
  const deleted = Promise.all(
    [gone, there].map((shard) => store.deleteShard(shard!.description.id)),
  )
  await failing.reached
  // It is to come behind the deletion: else the second try would find it there, and remove it.
  const written = putShard(store, gone!)
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  failing.fail()
  await deleted
  await written
  t.equal(await judgeShard(store, gone!), 'whole')
  t.equal(await judgeShard(store, there!), 'missing')
  await store.close()
})

t.test(
  'shards that are deleted at the same time are gone, and what they took is free',
  async (t) => {
    const fixture = await ShardFixture.open()
    const shards = await fixture.put(new Seeded(8), 40, 900)
    const large = await fixture.put(new Seeded(9), 2, 6000)
    const gone = [...shards.slice(0, 30), large[0]!]
    const twice = [...gone, ...gone.slice(0, 10), sampleShard(new Seeded(10), 900, 512)]
    const states = async (): Promise<string[]> =>
      await Promise.all([...shards, ...large].map((shard) => judgeShard(fixture.store, shard)))
    const wanted = [...Array(30).fill('missing'), ...Array(10).fill('whole'), 'missing', 'whole']
    await Promise.all(twice.map(({ description }) => fixture.store.deleteShard(description.id)))
    t.strictSame(await states(), wanted)
    const before = fixture.segments().length
    for (let round = 0; round < 5; round += 1) await fixture.store.compactOnce()
    t.ok(fixture.segments().length < before)
    await fixture.reopen()
    t.strictSame(await states(), wanted)
    t.strictSame(fixture.warnings, [])
  },
)
