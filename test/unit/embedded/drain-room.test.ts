// A drain is refused beforehand where the rows and the file systems say that what the drive holds does not fit.
import t from 'tap'
import { type DrainRoomParts, refuseForRoom, warnOfRoom } from '../../../src/embedded/drain-room.ts'
import { mebibytes } from '../../../src/kit/bytes.ts'
import { silentLog } from '../../../src/kit/log.ts'
import type { Clock } from '../../../src/kit/world.ts'
import type { ClusterMap } from '../../../src/placement/cluster-map.ts'
import { drainDrive, replaceDrive } from '../../../src/placement/coordinator-changes.ts'
import type { RoomDrive } from '../../../src/storage-node/space/file-system-room.ts'
import { Seeded } from '../../support/seeded.ts'
import { allBlobs, UpkeepFixture } from '../storage-node/upkeep/upkeep-fixture.ts'

const random = new Seeded(52)
const fixture = await UpkeepFixture.open(7)
for (let index = 0; index < 12; index += 1) await fixture.put(`k${index}`, random.bytes(400_000))
const { store } = fixture
const after = drainDrive(3)(store.coordinator.state)!.map
const held = (await allBlobs(store)).filter(({ blob }) => blob.drives.includes(3)).length * 100_000

type Room = ReturnType<DrainRoomParts['roomOf']>

/** A file system of these drives; `bytes` undefined: it does not tell. */
function room(driveIds: number[], bytes: number | undefined): Room {
  const drives = driveIds.map((id) => ({ id })) as RoomDrive[]
  const left = bytes === undefined ? undefined : { bytes, inodes: 9, reserveBytes: mebibytes(8) }
  return { drives, left: () => left }
}

/** Every drive has a file system of its own, but those given. */
function ask(
  rooms: readonly Room[],
  parts: Partial<DrainRoomParts> = {},
  map: ClusterMap = after,
): Promise<string | undefined> {
  const ample = new Map([1, 2, 3, 4, 5, 6, 7].map((id) => [id, room([id], mebibytes(100))]))
  return refuseForRoom('drive 3', map, {
    world: store.parts.world,
    log: silentLog,
    partitions: store.partitions,
    roomOf: (id) =>
      rooms.find((one) => one?.drives.some((drive) => drive.id === id)) ?? ample.get(id),
    ...parts,
  })
}

t.test('where there is room nothing is refused, and where nobody knows neither', async (t) => {
  t.ok(held > 300_000, 'the drive holds something')
  t.equal(await ask([]), undefined)
  t.equal(await ask([room([5], undefined)]), undefined)
  t.equal(await ask([], { roomOf: () => undefined }), undefined)
})

t.test('the sentence has the figures', async (t) => {
  const full = [1, 2, 4, 5, 6, 7].map((id) => room([id], -5))
  const sentence = await ask(full)
  t.match(sentence, /^drive 3 can not be drained: the other drives have no room for it\. About /)
  const names = [...sentence!.matchAll(/drive (\d) would get ([\d.]+) (KiB|MiB)/g)]
  t.equal(names.length, 3, 'three are named')
  t.match(sentence, /and has room for 0 B, as it counts as full for moves when less than 8\.0 MiB/)
  t.match(sentence, /; \d more are alike\. Add a drive first/)
})

t.test('one drive that is too full is enough, as its share goes nowhere else', async (t) => {
  const refused = [1, 2, 4, 5, 6, 7].map(async (id) => [id, await ask([room([id], 10_000)])])
  const sentences = (await Promise.all(refused)).filter(([, sentence]) => sentence !== undefined)
  t.ok(sentences.length > 0, 'some of them would get something')
  for (const [id, sentence] of sentences) t.match(sentence, `drive ${id} would get`)
})

t.test('what moves within a file system takes no room', async (t) => {
  t.equal(await ask([room([1, 2, 3, 4, 5, 6, 7], 0)]), undefined)
  const shared = await ask([room([1, 2, 4, 5, 6, 7], held - 1)])
  t.match(shared, /: drives 1, 2, 4, 5, 6, 7 would get .* and has room for/)
  t.equal(await ask([room([1, 2, 4, 5, 6, 7], held)]), undefined)
})

t.test('what can not be counted in time, or at all, is not held against it', async (t) => {
  const full = [room([1, 2, 4, 5, 6, 7], 0)]
  const clock: Pick<Clock, 'sleep'> = { sleep: async () => {} }
  const world = { clock: { ...store.parts.world.clock, ...clock } }
  const hanging = { scanBlobs: () => new Promise<never>(() => {}) }
  t.equal(await ask(full, { world, partitions: [hanging] }), undefined)
  const broken = {
    scanBlobs: async () => {
      throw new Error('metadata is away')
    },
  }
  t.equal(await ask(full, { partitions: [broken] }), undefined)
  t.match(await ask(full, { partitions: [...store.partitions, broken] }), /At least /)
})

t.test(
  'of a drive that takes the place of another one it is said that it is too small',
  async (t) => {
    const small = { id: 8, uuid: 'drive-8', weight: 1, path: '/8' }
    const before = { ...store.coordinator.state, nextDriveId: 9 }
    const { map } = replaceDrive(3, small)(before) as { map: ClusterMap }
    const warn = (rooms: readonly Room[]): Promise<string | undefined> =>
      warnOfRoom(8, map, {
        world: store.parts.world,
        log: silentLog,
        partitions: store.partitions,
        roomOf: (id) => rooms.find((one) => one?.drives.some((drive) => drive.id === id)),
      })
    t.equal(await warn([room([8], held)]), undefined, 'all that the other one held fits')
    t.equal(await warn([]), undefined, 'nobody knows')
    t.match(
      await warn([room([8], held - 1)]),
      /^drive 8 would get .* and has room for .*: what does not fit waits until there is room\./,
    )
    t.equal(await warn([room([3, 8], 0)]), undefined, 'both lie on one file system')
  },
)
