// A new replica of metadata comes to count while its drive hangs, goes out, or the coordinator's answer is lost.
import { rm } from 'node:fs/promises'
import t, { type Test } from 'tap'
import {
  type Change,
  type ClusterState,
  CoordinatorUnavailable,
} from '../../../src/placement/coordinator.ts'
import { dropReplicasOn, markOut } from '../../../src/placement/coordinator-changes.ts'
import type { Drive } from '../../../src/storage-node/drive.ts'
import { type Bed, drivePath, killAndReopen, makeBed, SMALL } from './metadata-testbed.ts'

const LAYOUT = { driveCount: 3, replicaCount: 2, partitionCount: 1 }

const setOf = ({ coordinator }: Bed) => coordinator.state.metaPartitions[0]!.inSync
const drivesOf = (bed: Bed): number[] => setOf(bed).map(({ driveId }) => driveId)
const rowOf = (bed: Bed, key: string) => bed.host.partitionLog(0).rows.get(Buffer.from(key))
const put = (bed: Bed, key: string) =>
  bed.host.partitionLog(0).append([{ key: Buffer.from(key), value: Buffer.from('value') }])

/** A bed that lacks a replica. `asked` has its part before the coordinator is asked to count a new one. */
async function makeLacking(
  t: Test,
  asked: (
    decide: () => Promise<ClusterState>,
    driveId: number,
    change: Change,
  ) => Promise<ClusterState>,
) {
  const bed = await makeBed(t, LAYOUT, { ...SMALL, lateMs: 100 })
  await put(bed, 'first')
  const [keep, leave] = drivesOf(bed)
  const decide = bed.coordinator.decide.bind(bed.coordinator)
  const changes: Change[] = []
  let wasAsked = false
  bed.coordinator.decide = async (change) => {
    changes.push(change)
    const after = change(bed.coordinator.state)?.metaPartitions[0]?.inSync ?? []
    if (wasAsked || after.length <= setOf(bed).length) return await decide(change)
    wasAsked = true
    return await asked(() => decide(change), after.at(-1)!.driveId, change)
  }
  await decide(dropReplicasOn(leave!))
  changes.splice(0)
  return { bed, keep: keep!, changes, decide }
}

/** All that is asked of the drive waits until it is let go. */
function hang(drive: Drive): () => void {
  let letGo = (): void => {}
  const hanging = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const run = drive.run.bind(drive)
  drive.run = (operation) => hanging.then(() => run(operation))
  return letGo
}

/** Everything acknowledged is there after a kill and the loss of a drive. */
async function survives(t: Test, bed: Bed, lost: number, keys: readonly string[]): Promise<void> {
  const after = await killAndReopen(t, bed, (root) =>
    rm(drivePath(root, lost), { recursive: true }),
  )
  for (const key of keys) t.ok(await rowOf(after, key), key)
  await after.close()
}

t.test('nothing is acknowledged without a replica that may count by now', async (t) => {
  let letGo = (): void => {}
  let asked = (): void => {}
  const isAsked = new Promise<void>((resolve) => {
    asked = resolve
  })
  let bed: Bed | undefined
  const made = await makeLacking(t, (decide, driveId) => {
    letGo = hang(bed!.drives.get(driveId)!)
    const decided = decide()
    asked()
    return decided
  })
  bed = made.bed
  const { keep, changes } = made
  const mended = bed.host.mend()
  await isAsked
  let isAcknowledged = false
  const acknowledged = put(bed, 'second').then(() => {
    isAcknowledged = true
  })
  // It is late, and is counted out behind the decision that counts it.
  while (!isAcknowledged && changes.length < 2) await new Promise((go) => setTimeout(go, 5))
  t.notOk(isAcknowledged)
  letGo()
  await acknowledged
  await mended
  for (let index = 0; index < 5; index += 1) await put(bed, `more${index}`)
  while (setOf(bed).length < 2) await bed.host.mend()
  await put(bed, 'last')
  await survives(t, bed, keep, ['first', 'second', 'more0', 'more4', 'last'])
})

t.test('a drive that goes out meanwhile gets no replica', async (t) => {
  let decideOut: (driveId: number) => Promise<unknown> = async () => {}
  let outId = 0
  const { bed, decide } = await makeLacking(t, async (ask, driveId) => {
    outId = driveId
    await decideOut(driveId)
    return await ask()
  })
  decideOut = (driveId) => decide(markOut(driveId, 'it hangs'))
  await bed.host.mend()
  t.notOk(drivesOf(bed).includes(outId))
  t.equal(setOf(bed).length, 2, 'another one has it')
  await put(bed, 'second')
  t.ok(await rowOf(bed, 'second'))
  await bed.close()
})

t.test(
  'where nobody knows whether it counts, a further decision says that it does not',
  async (t) => {
    const { bed, changes } = await makeLacking(t, async () => {
      throw new CoordinatorUnavailable('a drive failed')
    })
    const { epoch } = bed.coordinator.state.metaPartitions[0]!
    await bed.host.mend()
    t.equal(setOf(bed).length, 2, 'made on another drive')
    t.equal(bed.coordinator.state.metaPartitions[0]!.epoch, epoch + 2)
    t.equal(changes.length, 3)
    await put(bed, 'second')
    await survives(t, bed, drivesOf(bed)[0]!, ['first', 'second'])
  },
)

t.test('what surely was not decided needs no further decision', async (t) => {
  const { bed } = await makeLacking(t, async () => {
    throw new CoordinatorUnavailable('a drive is full', { why: 'full' })
  })
  const { epoch } = bed.coordinator.state.metaPartitions[0]!
  await bed.host.mend()
  t.equal(setOf(bed).length, 2, 'made on another drive')
  t.equal(bed.coordinator.state.metaPartitions[0]!.epoch, epoch + 1)
  await bed.close()
})

t.test('one that counts although the answer was an error is there', async (t) => {
  const { bed, keep } = await makeLacking(t, async (ask) => {
    await ask()
    throw new CoordinatorUnavailable('a drive is full')
  })
  await bed.host.mend()
  while (setOf(bed).length < 2) await bed.host.mend()
  await put(bed, 'second')
  await survives(t, bed, keep, ['first', 'second'])
})

t.test(
  'a replica that counts and was never made is dropped, and what waits is acknowledged',
  async (t) => {
    const bed = await makeBed(t, LAYOUT)
    await put(bed, 'first')
    const [keep, leave] = drivesOf(bed)
    const phantom = { driveId: 3, incarnation: '00000000000000aa' }
    await bed.coordinator.decide((state) => ({
      ...state,
      metaPartitions: state.metaPartitions.map(({ epoch, inSync }) => ({
        epoch: epoch + 1,
        inSync: [...inSync.filter(({ driveId }) => driveId !== leave), phantom],
      })),
    }))
    await put(bed, 'second')
    t.notOk(setOf(bed).some(({ incarnation }) => incarnation === phantom.incarnation))
    while (setOf(bed).length < 2) await bed.host.mend()
    await survives(t, bed, keep!, ['first', 'second'])
  },
)
