// Buckets that several processes change: who was quicker goes on, and nothing stays half done.
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { newUid } from '../../../src/kit/uid.ts'
import type { Command } from '../../../src/metadata/contract.ts'
import { BucketGone } from '../../../src/objects/object-store.ts'
import { Objects } from '../../../src/objects/objects.ts'
import { contended, LeftDeletions, SharedBuckets } from '../../../src/objects/shared-buckets.ts'
import { type Bucket, CoordinatorUnavailable } from '../../../src/placement/coordinator.ts'
import { bodyOf, type MemoryStore, openMemoryStore } from './memory-store.ts'

const { signal } = new AbortController()

/** A store that others use as well; nobody of them sleeps. */
async function openShared(): Promise<MemoryStore & { others: Objects }> {
  const store = await openMemoryStore(3)
  const cluster = { nodesExpected: 3, secret: '' }
  await store.coordinator.decide((before) => ({ ...before, cluster }))
  const { world } = store.parts
  const clock = { ...world.clock, sleep: async () => {} }
  Object.assign(store.parts, { world: { ...world, clock } })
  return { ...store, others: new Objects({ ...store.parts }) }
}

function put(objects: Objects, bucket: Bucket) {
  const attributes = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }
  return objects.put({
    ...{ bucket, key: 'k', attributes, conditions: {}, signal },
    body: bodyOf(Buffer.from('some bytes')),
  })
}

/** From now on partitions refuse commands of this kind, until the function is called. */
function failAt({ partitions }: MemoryStore, kind: Command['kind']): () => void {
  const commits = partitions.map((partition) => partition.commit.bind(partition))
  for (const [index, partition] of partitions.entries()) {
    const commit = commits[index]!
    partition.commit = async (command, isLate) => {
      // The first partition does it: the deletion is half done.
      if (command.kind === kind && index > 0) throw new Error('the process ends here')
      return await commit(command, isLate)
    }
  }
  return () => {
    for (const [index, partition] of partitions.entries()) partition.commit = commits[index]!
  }
}

t.test(
  'a deletion that some partitions have carried out is gone on with, never undone',
  async (t) => {
    const store = await openShared()
    const { objects, others, coordinator } = store
    const { bucket } = await objects.createBucket('left', 'us-east-1')
    const goOn = failAt(store, 'drop-bucket')
    await t.rejects(objects.deleteBucket('left'), /the process ends here/)
    goOn()
    t.match(coordinator.state.buckets.left, { state: 'deleting', isEmpty: true })
    await t.rejects(put(others, bucket), BucketGone, 'nothing enters it')
    t.equal((await others.createBucket('left', 'us-east-1')).kind, 'exists', 'nor its name')
    t.same(await others.deleteBucket('left'), { kind: 'deleted' })
    const again = await others.createBucket('left', 'us-east-1')
    t.equal(again.kind, 'created')
    t.equal((await put(objects, again.bucket)).kind, 'done')
  },
)

t.test(
  'a deletion that ends before every partition is asked may be undone by others',
  async (t) => {
    const store = await openShared()
    const { objects, others, coordinator } = store
    const { bucket } = await objects.createBucket('left', 'us-east-1')
    t.equal((await put(objects, bucket)).kind, 'done')
    const goOn = failAt(store, 'set-bucket')
    await t.rejects(objects.deleteBucket('left'), /the process ends here/)
    goOn()
    const undone = coordinator.state.buckets.left!
    t.equal(undone.state, 'live', 'it was undone by who began it')
    const deleting: Bucket = { ...undone, state: 'deleting', revision: 9 }
    await coordinator.decide((before) => ({ ...before, buckets: { left: deleting } }))
    for (const partition of store.partitions) {
      await partition.commit({
        ...{ kind: 'set-bucket', commandId: newUid(store.parts.world), state: 'frozen' },
        bucket: { id: deleting.id, revision: 9, versioning: 'unversioned' },
      })
    }
    await t.rejects(put(others, bucket), contended('left'), 'nobody knows what becomes of it')
    t.same(await others.deleteBucket('left'), { kind: 'not-empty' })
    t.equal(coordinator.state.buckets.left?.state, 'live')
    t.equal((await put(objects, bucket)).kind, 'done', 'with what it knew before')
  },
)

t.test('of two that delete, the one that was overtaken does nothing more', async (t) => {
  const { objects, coordinator, parts } = await openShared()
  const { bucket } = await objects.createBucket('two', 'us-east-1')
  const deleting = { ...bucket, state: 'deleting' as const, revision: 2 }
  const set = (changed: Bucket) =>
    coordinator.decide((before) => ({ ...before, buckets: { two: changed } }))
  const shared = new SharedBuckets(parts)
  await set({ ...deleting, revision: 3 })
  await t.rejects(shared.settleEmpty(deleting), contended('two'))
  await set(deleting)
  await shared.settleEmpty(deleting)
  t.equal(coordinator.state.buckets.two?.isEmpty, true)
  await shared.settleEmpty(deleting)
  t.pass('again, when the answer was lost')
})

t.test('in one process nobody is waited for', async (t) => {
  const { parts, coordinator } = await openMemoryStore(3)
  const shared = new SharedBuckets(parts)
  const { epoch } = coordinator.state
  const { bucket } = coordinator.state.buckets
  await shared.settleEmpty({ ...bucket!, state: 'deleting' })
  await shared.othersEnded({ name: 'bucket' })
  t.equal(coordinator.state.epoch, epoch)
})

t.test('what nobody goes on with for a minute is ended', async (t) => {
  let nowMs = 0
  const bucket = { name: 'b', id: 1, createdMs: 0, region: 'r', revision: 4, state: 'deleting' }
  const buckets = [bucket as Bucket, { ...bucket, name: 'c', state: 'live' } as Bucket]
  const deleted: string[] = []
  const left = new LeftDeletions({
    objects: {
      listBuckets: () => buckets,
      deleteBucket: async (name) => {
        deleted.push(name)
        if (deleted.length === 1) throw new CoordinatorUnavailable('etcd is away', { why: 'away' })
      },
    },
    clock: { monotonicMs: () => nowMs },
    log: silentLog,
  })
  for (const at of [0, 30_000]) {
    nowMs = at
    await left.look()
  }
  bucket.revision = 5 // Somebody goes on with it.
  for (const at of [59_000, 90_000, 118_000]) {
    nowMs = at
    await left.look()
  }
  t.same(deleted, [])
  nowMs = 119_000
  await t.rejects(left.look(), CoordinatorUnavailable)
  await left.look()
  t.same(deleted, ['b', 'b'])
})
