// What EtcdCoordinator promises, whatever etcd is behind it.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { silentLog } from '../../src/kit/log.ts'
import type { Bucket, Change, ClusterState, Undecided } from '../../src/placement/coordinator.ts'
import { EtcdCoordinator } from '../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../src/placement/etcd/etcd-client.ts'
import type { EtcdUnderTest, OpenEtcd } from './etcd-client.contract.ts'

/** As `t.rejects` wants it. */
export function undecided(why: Undecided, message?: RegExp): Error & { why: Undecided } {
  const code = 'COORDINATOR_UNAVAILABLE'
  return { code, why, ...(message ? { message } : {}) } as unknown as Error & { why: Undecided }
}

/** A small cluster without anything in it. */
export function firstState(): Omit<ClusterState, 'epoch'> {
  const drives = [1, 2, 3].map((id) => ({
    id,
    uuid: `u${id}`,
    weight: 1,
    state: 'active' as const,
  }))
  const inSync = [{ driveId: 1, incarnation: 'i1' }]
  return {
    clusterId: 'c',
    map: {
      drives,
      code: { dataCount: 2, parityCount: 1, matrix: 1 },
      partitionCount: 4,
      metaPartitionCount: 1,
      slots: [[1, 2, 3]],
      seed: '7',
    },
    metaPartitions: [{ epoch: 0, inSync }],
    buckets: {},
    nextBucketId: 1,
    nextDriveId: 4,
    rootCredentials: { accessKeyId: 'root', secretAccessKey: 'secret' },
  }
}

/** A bucket, unless there is one of that name. */
export function addBucket(name: string, owner = 'nobody'): Change {
  return (state) => {
    if (Object.hasOwn(state.buckets, name)) return undefined
    const bucket: Bucket = {
      name,
      id: state.nextBucketId,
      createdMs: 1,
      region: owner,
      revision: 1,
      state: 'live',
    }
    const buckets = { ...state.buckets, [name]: bucket }
    return { ...state, buckets, nextBucketId: state.nextBucketId + 1 }
  }
}

/** A process of the cluster: a coordinator and its directory. */
export interface Member {
  coordinator: EtcdCoordinator
  directory: string
  /** Ends it and starts it again, with what it has on disk. */
  restart(): Promise<Member>
}

/** Starts members that end with the test. */
export async function membersOf(
  t: Test,
  etcd: EtcdUnderTest,
  options: { rereadMs?: number; decideMs?: number; timeoutMs?: number } = {},
): Promise<{ start(directory?: string): Promise<Member> }> {
  const root = await mkdtemp(join(tmpdir(), 'members-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  let count = 0
  const start = async (given?: string): Promise<Member> => {
    count += 1
    const directory = given ?? join(root, `${count}`)
    if (given === undefined) await mkdir(directory)
    const { timeoutMs = 5_000 } = options
    const client = new EtcdClient({ endpoints: [etcd.endpoint], timeoutMs }, etcd.world)
    const parts = { world: etcd.world, etcd: client, log: silentLog }
    const coordinator = await EtcdCoordinator.open({ directory, ...options }, parts)
    t.teardown(() => coordinator.close())
    const restart = async (): Promise<Member> => {
      await coordinator.close()
      return await start(directory)
    }
    return { coordinator, directory, restart }
  }
  return { start }
}

/** Makes the cluster. */
export async function makeCluster({ endpoint, world }: EtcdUnderTest): Promise<void> {
  const client = new EtcdClient({ endpoints: [endpoint] }, world)
  await EtcdCoordinator.create(firstState(), { etcd: client, world })
}

export function etcdCoordinatorContract(t: Test, open: OpenEtcd): void {
  t.test('a decision is known to everyone, and a cluster is made once', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    await t.rejects(makeCluster(etcd), undecided('refused'))
    const { start } = await membersOf(t, etcd)
    const [one, other] = [await start(), await start()]
    const { epoch, ...first } = one.coordinator.state
    t.same(first, firstState())
    const told = nextState(other)
    const state = await one.coordinator.decide(addBucket('photos'))
    t.equal(state.epoch, epoch + 1)
    t.same(one.coordinator.state, state)
    t.same(await told, state)
    t.same(await other.coordinator.decide(addBucket('photos')), state, 'nothing to change')
    const gone = await other.coordinator.decide(({ buckets: _all, ...rest }) => ({
      ...rest,
      buckets: {},
    }))
    t.same(gone.buckets, {})
    t.equal(gone.nextBucketId, 2)
    t.same((await one.restart()).coordinator.state, gone)
  })

  t.test('of those who create one bucket at the same time one does', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const members = [await start(), await start(), await start()]
    for (const name of ['a', 'b', 'c', 'd']) {
      const winners = await Promise.all(
        members.flatMap((member, index) =>
          [0, 1].map(async (turn) => {
            const owner = `${index}-${turn}`
            let isMine = false
            const add = addBucket(name, owner)
            const { buckets } = await member.coordinator.decide((state) => {
              const next = add(state)
              isMine = next !== undefined
              return next
            })
            if (isMine !== (buckets[name]?.region === owner)) t.fail('the answer is not the truth')
            return isMine
          }),
        ),
      )
      t.equal(winners.filter(Boolean).length, 1)
    }
    const { buckets } = await members[0]!.coordinator.decide(() => undefined)
    t.same(
      Object.values(buckets).map(({ id }) => id),
      [1, 2, 3, 4],
      'no id was given twice',
    )
  })

  t.test('without etcd what is known is served, also after a restart', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd, { timeoutMs: 2_000 })
    const member = await start()
    const state = await member.coordinator.decide(addBucket('photos'))
    await etcd.takeAway()
    await t.rejects(member.coordinator.decide(addBucket('b')), undecided('away'))
    t.equal(member.coordinator.standing.kind, 'away')
    const again = await member.restart()
    t.same(again.coordinator.state, state)
    await t.rejects(again.coordinator.decide(addBucket('b')), undecided('away'))
    await t.rejects(start(), undecided('away'), 'who never knew anything can not start')
    await etcd.bringBack()
    const { buckets } = await again.coordinator.decide(addBucket('b'))
    t.same(Object.keys(buckets), ['photos', 'b'])
    t.equal(again.coordinator.standing.kind, 'current')
  })

  t.test('an etcd that was restored from a backup is not believed', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const [one, other] = [await start(), await start()]
    await one.coordinator.decide(addBucket('a'))
    await other.coordinator.decide(() => undefined)
    await etcd.backUp()
    const last = await one.coordinator.decide(addBucket('b'))
    await etcd.restoreBackup()
    await t.rejects(one.coordinator.decide(addBucket('c')), undecided('restored'))
    t.same(one.coordinator.state, last, 'what was decided is still known')
    t.equal(one.coordinator.standing.kind, 'restored')
    // One that knew nothing goes on there, past all that was decided before.
    const fresh = await start()
    for (let index = 0; index < 70; index += 1) {
      await fresh.coordinator.decide((state) => ({ ...state, nextDriveId: state.nextDriveId + 1 }))
    }
    await t.rejects(
      one.coordinator.decide(addBucket('c')),
      undecided('restored', /does not follow|its revision/),
    )
    const back = await one.restart()
    t.equal(back.coordinator.standing.kind, 'restored')
    t.same(back.coordinator.state, last)
  })

  t.test('who was away for long is believed, and believes', async (t) => {
    const etcd = await open(t)
    await makeCluster(etcd)
    const { start } = await membersOf(t, etcd)
    const [one, other] = [await start(), await start()]
    await other.coordinator.decide(addBucket('a'))
    await other.coordinator.close()
    for (let index = 0; index < 140; index += 1) {
      await one.coordinator.decide((state) => ({ ...state, nextDriveId: state.nextDriveId + 1 }))
    }
    const back = await start(other.directory)
    t.equal(back.coordinator.standing.kind, 'current')
    t.same(back.coordinator.state, one.coordinator.state)
  })
}

function nextState({ coordinator }: Member): Promise<ClusterState> {
  return new Promise((resolve) => {
    const stop = coordinator.watch((state) => {
      stop()
      resolve(state)
    })
  })
}
