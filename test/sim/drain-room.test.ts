// The store as it is shipped, on drives that get small: a drain for which there is no room is refused with the figures,
// and changes nothing; with room it is carried out.
import t from 'tap'
import { prepareDigests } from '../../src/digest/prepare.ts'
import { Seeded } from '../support/seeded.ts'
import { bodyOf } from '../unit/objects/memory-store.ts'
import { SimMachine } from './machine.ts'
import { SimDrive } from './sim-drive.ts'
import { SimStore } from './store.ts'
import { SimTime } from './time.ts'

const SHAPE = { drives: 4, code: { dataCount: 2, parityCount: 1 }, garbageGraceMs: 500 }
const DRAIN = { driveId: 2, isCancelled: false, reEncode: false }

t.test('no room, no drain', async (t) => {
  await prepareDigests()
  const time = new SimTime()
  const drives = [1, 2, 3, 4].map((number) => new SimDrive(number))
  for (const drive of drives) await drive.mount()
  const latencies = { usual: 0.1, sync: 2, slowOneIn: 50 }
  const machine = new SimMachine(1, { time, drives, latencies, say: () => {} })
  const store = new SimStore(machine, SHAPE, (trouble) => t.fail(trouble))
  await time.drive(work(), 3_600_000)

  async function work(): Promise<void> {
    const { storage, admin, objects } = (await store.start())!
    const { bucket } = await objects.createBucket('bucket', 'us-east-1')
    const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
    const { signal } = new AbortController()
    for (let number = 0; number < 10; number += 1) {
      const body = bodyOf(new Seeded(number).bytes(300_000))
      await objects.put({ bucket, key: `k${number}`, attributes, conditions: {}, body, signal })
    }
    for (const { disk } of machine.drives) disk.capacityBytes = disk.usedBytes() * 1.25
    await time.sleep(5_000)
    const { epoch } = storage.coordinator.state
    const refused = await admin.drives.drain(DRAIN)
    t.equal(refused.kind, 'refused')
    t.match(
      refused.kind === 'refused' && refused.sentence,
      /^drive 2 can not be drained: .* About [\d.]+ [KM]iB would be written to them: drive 1 would get/,
    )
    t.equal(storage.coordinator.state.epoch, epoch, 'nothing was decided')

    for (const { disk } of machine.drives) disk.capacityBytes = 1024 ** 4
    await time.sleep(5_000)
    t.match(await admin.drives.drain(DRAIN), { kind: 'done' })
    const second = () => storage.coordinator.state.map.drives.find(({ id }) => id === 2)!
    for (let round = 0; round < 600 && !second().isVacated; round += 1) await time.sleep(500)
    t.ok(second().isVacated)
    await store.stop()
  }
})
