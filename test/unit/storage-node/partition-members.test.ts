// Who is waited for when entries of a hosted partition are committed, while replicas come to count and leave.
import t from 'tap'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import type { Replica } from '../../../src/placement/coordinator.ts'
import type { HostDrive } from '../../../src/storage-node/metadata-host/drive.ts'
import {
  isJoiningOn,
  removeLearners,
} from '../../../src/storage-node/metadata-host/members-of-drive.ts'
import { HostedPartition } from '../../../src/storage-node/metadata-host/partition.ts'
import type { LogRecord } from '../../../src/storage-node/metalog/record.ts'

/** A drive whose log does what a test says with each record; at first it has it at once. */
class TestHost {
  readonly drive: { id: number; failure: unknown }
  attached = false
  append: (record: LogRecord) => Promise<void> = async () => {}

  constructor(id: number) {
    this.drive = { id, failure: undefined }
  }

  readonly log = { append: (record: LogRecord): Promise<void> => this.append(record) }

  attach(): void {
    this.attached = true
  }

  detach(): void {
    this.attached = false
  }

  async apply(): Promise<void> {}
}

const replica = (driveId: number): Replica => ({ driveId, incarnation: `i${driveId}` })
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate)
}

/** A partition on drive 1, and two more drives. Sleeps end at once; the clock stands still or goes on with them. */
function makePartition(options: { timePasses?: boolean } = {}) {
  const hosts = [1, 2, 3].map((id) => new TestHost(id))
  const missing: Replica[] = []
  let nowMs = 0
  const partition = new HostedPartition(
    {
      ...{ id: 0, state: { epoch: 1, inSync: [replica(1)] }, tip: { epoch: 0, sequence: 0 } },
      hosts: new Map(hosts.map((host) => [host.drive.id, host as unknown as HostDrive])),
    },
    {
      clock: {
        monotonicMs: () => nowMs,
        sleep: async (ms) => {
          if (options.timePasses) nowMs += ms
          await new Promise(setImmediate)
        },
      },
      onBadRows: () => {},
      resumeRows: async () => false,
      onMissing: (one) => missing.push(one),
    },
  )
  return { hosts, missing, partition, partitions: new Map([[0, partition]]) }
}

async function makeJoining() {
  const made = makePartition()
  const { partition, hosts } = made
  const host = hosts[1] as unknown as HostDrive
  const member = await partition.exclusive(async () => partition.addLearner(replica(2), host))
  await partition.requireLearner(member)
  t.ok(partition.beginJoining(member))
  return { ...made, member, host: hosts[1]! }
}

/** Appends, and tells whether that is committed. */
function watchAppend(partition: HostedPartition): { isDone: boolean; done: Promise<unknown> } {
  const watched = { isDone: false, done: partition.append([]) }
  watched.done.then(
    () => {
      watched.isDone = true
    },
    () => {},
  )
  return watched
}

t.test('one that is joining is waited for, whatever becomes of it', async (t) => {
  const { partition, partitions, member, host, missing } = await makeJoining()
  t.ok(isJoiningOn(partitions, 2))
  host.append = async () => {
    throw new DriveUnavailable(2, 'full')
  }
  const appended = watchAppend(partition)
  await turns()
  removeLearners(partitions, 2)
  partition.removeLearner(member)
  partition.adopt({ epoch: 2, inSync: [replica(1)] })
  await turns()
  t.ok(partition.members.includes(member))
  t.notOk(appended.isDone, 'its drive is full, it is late, and a decision about others was made')

  partition.adopt({ epoch: 3, inSync: [replica(1), replica(2)] })
  t.equal(member.role, 'voter')
  t.same(missing, [])
  await turns()
  t.notOk(appended.isDone)
  partition.adopt({ epoch: 4, inSync: [replica(1)] })
  await appended.done
  t.notOk(partition.members.includes(member))
  t.notOk(host.attached)
})

t.test('one that surely does not count is waited for no more', async (t) => {
  const { partition, member, host } = await makeJoining()
  host.append = () => new Promise(() => {})
  const appended = watchAppend(partition)
  await turns()
  t.notOk(appended.isDone)
  partition.endJoining(member)
  await appended.done
  t.same(
    partition.members.map(({ driveId }) => driveId),
    [1],
  )
})

t.test('while one is joining the last drive that counts may fail', async (t) => {
  const { partition, hosts, member } = await makeJoining()
  hosts[0]!.drive.failure = new Error('broken')
  partition.adopt({ epoch: 2, inSync: [replica(1)] })
  t.equal(partition.stopped, undefined, 'it may be the last one in a moment')
  partition.endJoining(member)
  t.match(partition.stopped, { code: 'METADATA_UNAVAILABLE' })
})

t.test('one that left, or whose rows may lack something, does not join', async (t) => {
  for (const trouble of ['left', 'bad rows'] as const) {
    const { partition, hosts } = makePartition()
    const host = hosts[1] as unknown as HostDrive
    const member = await partition.exclusive(async () => partition.addLearner(replica(2), host))
    await partition.requireLearner(member)
    if (trouble === 'left') partition.removeLearner(member)
    else member.readable = false
    t.notOk(partition.beginJoining(member), trouble)
    t.equal(member.role, 'learner')
  }
})

t.test(
  'a replica that counts and is not there: nothing is committed before it is dropped',
  async (t) => {
    const { partition, missing, hosts } = makePartition()
    const host = hosts[1] as unknown as HostDrive
    const learner = await partition.exclusive(async () => partition.addLearner(replica(2), host))
    partition.adopt({ epoch: 2, inSync: [replica(1), replica(3)] })
    t.same(missing, [replica(3)])
    const appended = watchAppend(partition)
    await turns()
    t.notOk(appended.isDone)
    partition.removeLearner(learner)
    partition.adopt({ epoch: 3, inSync: [replica(1), replica(3)] })
    await turns()
    t.notOk(appended.isDone)
    t.same(missing, [replica(3)], 'told of once')
    partition.adopt({ epoch: 4, inSync: [replica(1)] })
    await appended.done
  },
)

t.test('a learner that counts before it was joining is none that is there', async (t) => {
  const { partition, missing, hosts } = makePartition()
  const host = hosts[1] as unknown as HostDrive
  const learner = await partition.exclusive(async () => partition.addLearner(replica(2), host))
  partition.adopt({ epoch: 2, inSync: [replica(1), replica(2)] })
  t.same(missing, [replica(2)])
  t.notOk(partition.members.includes(learner))
})

t.test('a learner whose drive hangs is not waited for: when nothing is appended', async (t) => {
  const { partition, hosts } = makePartition({ timePasses: true })
  hosts[1]!.append = () => new Promise(() => {})
  const host = hosts[1] as unknown as HostDrive
  hosts[0]!.append = () => new Promise(() => {})
  void watchAppend(partition)
  const member = await partition.exclusive(async () => partition.addLearner(replica(2), host))
  t.equal(await partition.requireLearner(member), false)
})

t.test('a learner whose drive hangs is not waited for: when the partition stops', async (t) => {
  const { partition, hosts } = makePartition()
  hosts[1]!.append = () => new Promise(() => {})
  const host = hosts[1] as unknown as HostDrive
  const member = await partition.exclusive(async () => partition.addLearner(replica(2), host))
  const appended = watchAppend(partition)
  const required = partition.requireLearner(member)
  await turns()
  partition.stop(new MetadataUnavailable('it lost its last replica'))
  t.equal(await required, false)
  t.ok(member.departure.hasLeft)
  await t.rejects(appended.done)
})

t.test('what waits for a partition to stand still is refused when it stops', async (t) => {
  const { partition } = makePartition()
  const first = partition.exclusive(() => new Promise<void>(() => {}))
  void first
  const second = partition.exclusive(async () => {})
  await turns()
  partition.stop(new MetadataUnavailable('it lost its last replica'))
  await t.rejects(second, { code: 'METADATA_UNAVAILABLE' })
})
