// delete-objects does to each of its keys what delete-object would do, in order and in one entry; said twice it is done once.
import t from 'tap'
import type { DeletionOutcome, KeyDeletion } from '../../../../src/metadata/contract.ts'
import { isDeleteMarker, type Versioning } from '../../../../src/metadata/records.ts'
import { KeyKind } from '../../../../src/metadata/rows/keys.ts'
import { Seeded } from '../../../support/seeded.ts'
import { everything, type Fixture, openFixture, type Store } from '../partition-fixture.ts'

const FOREVER = Number.MAX_SAFE_INTEGER
const MORE_THAN_ONE_TAKES = 300

async function outcomesOf(answer: ReturnType<Store['deleteMany']>): Promise<DeletionOutcome[]> {
  const told = await answer
  if (told.kind !== 'done') throw new Error(`it was answered ${told.kind}`)
  return told.outcomes
}

/** All versions as `key name`, whatever their ids are. */
async function versionsOf({ partition, store }: Fixture): Promise<string[]> {
  const asked = { ...everything, bucket: store.bucket, afterVersionId: '', limit: 1000 }
  const page = await partition.scanVersions(asked)
  if (page === 'bucket-gone') throw new Error('nobody deletes the bucket')
  return page.entries.flatMap((entry) => {
    if (entry.kind === 'prefix') return []
    const { version, isLatest } = entry.record
    const name = isDeleteMarker(version) ? '!' : version.etag
    return [`${entry.key} ${name}${version.versioned ? '' : ' null'}${isLatest ? ' latest' : ''}`]
  })
}

/** What an outcome says but for ids and times, which are those of the command. */
function plain(outcome: DeletionOutcome): unknown {
  if (outcome.kind !== 'done') return outcome
  const { removed, made } = outcome
  return { removed: removed && [removed.versioned, removed.deleteMarker], made: made?.versioned }
}

t.test('many keys go in one entry, which has their garbage', async (t) => {
  const { store, log, partition } = await openFixture()
  for (const key of ['a', 'b', 'c']) await store.put(key, `e-${key}`)
  const before = log.applied.length
  const outcomes = await outcomesOf(store.deleteMany(['c', 'none', 'a']))
  t.match(outcomes, [{ kind: 'done', removed: { deleteMarker: false } }, { kind: 'done' }, {}])
  t.strictSame(outcomes[1], { kind: 'done' }, 'there was nothing to delete')
  t.equal(log.applied.length, before + 1)
  t.strictSame(await store.keys(), ['b'])
  t.equal((await partition.dueGarbage(FOREVER, 10)).length, 2)
  t.equal(log.applied.at(-1)!.filter(({ key }) => key[0] === KeyKind.Answer).length, 1)
})

t.test('where nothing was there nothing is written', async (t) => {
  const { store, log } = await openFixture()
  await store.put('a', 'e')
  const before = log.applied.length
  t.strictSame(await outcomesOf(store.deleteMany(['x', 'y'])), [{ kind: 'done' }, { kind: 'done' }])
  t.equal(log.applied.length, before)
})

t.test('each key has conditions of its own, and what is refused keeps nothing else', async (t) => {
  const { store } = await openFixture()
  for (const key of ['a', 'b', 'c', 'd']) await store.put(key, key)
  const outcomes = await outcomesOf(
    store.deleteMany([
      { key: 'a', conditions: { ifMatch: ['z'] } },
      { key: 'b', conditions: { ifMatch: ['b'] } },
      { key: 'none', conditions: { ifMatch: ['b'] } },
      { key: 'd', conditions: { ifMatchBytes: 7 } },
      'c',
    ]),
  )
  t.strictSame(
    outcomes.map(({ kind }) => kind),
    ['condition-failed', 'done', 'missing', 'condition-failed', 'done'],
  )
  t.strictSame(await store.keys(), ['a', 'd'])
})

t.test('what is locked stays, and the others go', async (t) => {
  const { store, clock } = await openFixture()
  store.setVersioning('enabled')
  const retention = { mode: 'GOVERNANCE' as const, untilMs: clock.ms + 1000 }
  const versions = new Map<string, string>()
  for (const key of ['a', 'b']) {
    const version = { ...store.version(key), ...(key === 'a' ? { retention } : {}) }
    const put = await store.put(key, key, { version })
    if (put.kind === 'done') versions.set(key, put.version.versionId)
  }
  const both = [...versions].map(([key, versionId]) => ({ key, versionId, conditions: {} }))
  const kinds = async (more: { bypass?: true }): Promise<string[]> =>
    (await outcomesOf(store.deleteMany(both, more))).map(({ kind }) => kind)
  t.strictSame(await kinds({}), ['locked', 'done'])
  t.strictSame(await store.keys(), ['a'])
  t.strictSame(await kinds({ bypass: true }), ['done', 'done'])
  t.strictSame(await store.keys(), [])
})

t.test('versions keep: every marker has an id of its own', async (t) => {
  const { store, ...rest } = await openFixture()
  store.setVersioning('enabled')
  await store.put('a', 'e')
  const outcomes = await outcomesOf(store.deleteMany(['a', 'b', 'a', 'c']))
  const ids = outcomes.map((outcome) => outcome.kind === 'done' && outcome.made?.versionId)
  t.equal(new Set(ids).size, 4)
  t.strictSame((await versionsOf({ store, ...rest })).sort(), [
    'a !',
    'a ! latest',
    'a e',
    'b ! latest',
    'c ! latest',
  ])
})

t.test('of a key that is named again and again the last marker is the newest', async (t) => {
  const { store, partition } = await openFixture()
  store.setVersioning('enabled')
  const outcomes = await outcomesOf(store.deleteMany(['k', 'k', 'k', 'k']))
  const made = outcomes.map((outcome) => (outcome.kind === 'done' ? outcome.made?.versionId : ''))
  const seen: string[] = []
  for (let more = true, after = { after: '', afterVersionId: '' }; more; ) {
    const asked = { ...everything, bucket: store.bucket, limit: 1, ...after }
    const page = await partition.scanVersions(asked)
    if (page === 'bucket-gone') throw new Error('nobody deletes the bucket')
    const [entry] = page.entries
    if (entry?.kind !== 'entry') throw new Error('a page is not empty')
    seen.push(entry.record.version.versionId)
    after = { after: entry.key, afterVersionId: seen.at(-1)! }
    more = page.more
  }
  t.strictSame(seen, made.toReversed())
})

t.test('all versions of a key go at once, whatever their order', async (t) => {
  for (const turned of [false, true]) {
    const fixture = await openFixture()
    const { store, partition, log } = fixture
    await store.put('k', 'null')
    store.setVersioning('enabled')
    for (const etag of ['a', 'b', 'c']) await store.put('k', etag)
    await store.delete('k')
    const page = await partition.scanVersions({
      ...{ ...everything, bucket: store.bucket, afterVersionId: '' },
    })
    if (page === 'bucket-gone') throw new Error('nobody deletes the bucket')
    const keys = page.entries.flatMap((entry): KeyDeletion[] =>
      entry.kind === 'prefix'
        ? []
        : [{ key: entry.key, versionId: entry.record.version.versionId, conditions: {} }],
    )
    t.equal(keys.length, 5)
    const outcomes = await outcomesOf(store.deleteMany(turned ? keys.reverse() : keys))
    t.ok(outcomes.every((outcome) => outcome.kind === 'done' && outcome.removed))
    t.strictSame(await versionsOf(fixture), [])
    t.equal((await partition.dueGarbage(FOREVER, 10)).length, 4)
    const [entry] = log.applied.slice(-1)
    const names = entry!.map(({ key }) => Buffer.from(key).toString('hex'))
    t.equal(new Set(names).size, names.length, 'an entry changes a row once')
  }
})

t.test('as many single commands: the same outcomes and the same versions', async (t) => {
  const seeded = new Seeded(91)
  const keys = ['a', 'b', 'c', 'd']
  for (let round = 0; round < 60; round += 1) {
    const [many, single] = [await openFixture(), await openFixture()]
    for (let change = 0; change < 8; change += 1) {
      const versioning = seeded.pick<Versioning>(['unversioned', 'enabled', 'suspended'])
      const key = seeded.pick(keys)
      // A bucket that kept versions never ends to be one that did.
      const isNew = many.store.bucket.versioning === 'unversioned'
      const next = versioning === 'unversioned' && !isNew ? 'suspended' : versioning
      const isDeletion = seeded.below(4) === 0
      for (const { store } of [many, single]) {
        store.setVersioning(next)
        if (isDeletion) await store.delete(key)
        else await store.put(key, `e${change}`)
      }
    }
    const wanted = Array.from({ length: 1 + seeded.below(6) }, (): KeyDeletion => {
      const key = seeded.pick(keys)
      const conditions = seeded.below(4) === 0 ? { ifMatch: [`e${seeded.below(8)}`] } : {}
      return seeded.below(4) === 0 ? { key, versionId: 'null', conditions } : { key, conditions }
    })
    const outcomes = await outcomesOf(many.store.deleteMany(wanted))
    const alone: DeletionOutcome[] = []
    for (const { key, versionId, conditions } of wanted) {
      const answer =
        versionId === undefined
          ? await single.store.delete(key, conditions)
          : await single.store.remove(key, versionId, { conditions })
      if (answer.kind !== 'bucket-gone') alone.push(answer)
    }
    t.strictSame(outcomes.map(plain), alone.map(plain))
    t.strictSame(await versionsOf(many), await versionsOf(single))
    const garbage = async ({ partition }: Fixture): Promise<number> =>
      (await partition.dueGarbage(FOREVER, 100)).length
    t.equal(await garbage(many), await garbage(single))
  }
})

t.test('sent again it answers what it did, and does nothing', async (t) => {
  const { store, log } = await openFixture()
  store.setVersioning('enabled')
  await store.put('a', 'e')
  const removed = await store.put('b', 'e')
  if (removed.kind !== 'done') throw new Error('it was put')
  const commandId = store.uid()
  const keys = [
    'a',
    { key: 'b', versionId: removed.version.versionId, conditions: {} },
    { key: 'c', versionId: 'null', conditions: {} },
    { key: 'd', conditions: { ifMatch: ['*'] } },
    { key: 'a', conditions: { ifMatch: ['x'] } },
  ]
  const first = await outcomesOf(store.deleteMany(keys, { commandId }))
  t.strictSame(
    first.map(({ kind }) => kind),
    ['done', 'done', 'done', 'missing', 'condition-failed'],
  )
  await store.put('a', 'newer')
  const before = log.applied.length
  t.strictSame(await outcomesOf(store.deleteMany(keys, { commandId })), first)
  t.equal(log.applied.length, before)
  t.match(await store.get('a'), { etag: 'newer' })
})

t.test('a command takes no more than keeps others waiting for a moment', async (t) => {
  const { store } = await openFixture()
  const keys = Array.from({ length: MORE_THAN_ONE_TAKES }, (_, at) => `k${1000 + at}`)
  for (const key of keys) await store.put(key, 'e')
  const { length } = await outcomesOf(store.deleteMany(keys))
  t.ok(length > 64 && length < MORE_THAN_ONE_TAKES)
  t.strictSame(await store.keys(), keys.slice(length), 'those of which nothing was told are there')
})

t.test('a command takes no further key once its turn has lasted long', async (t) => {
  const { store, clock } = await openFixture()
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const key of keys) await store.put(key, 'e')
  clock.now = () => {
    clock.ms += 8
    return clock.ms
  }
  const { length } = await outcomesOf(store.deleteMany(keys))
  t.equal(length, 3)
  t.strictSame(await store.keys(), keys.slice(length))
})

t.test('a command takes no further key once its entry is large', async (t) => {
  const { store, log } = await openFixture()
  store.setVersioning('enabled')
  const userMetadata = { story: 'x'.repeat(100_000) }
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  for (const key of keys)
    await store.put(key, key, { version: { ...store.version(key), userMetadata } })
  // Below a marker the version is written again.
  const { length } = await outcomesOf(store.deleteMany(keys))
  t.equal(length, 3)
  t.equal(log.ofKind(KeyKind.Marker).length, 3)
  t.equal((await outcomesOf(store.deleteMany(keys.slice(length)))).length, 3)
})

t.test('a bucket that keeps versions by now takes none that knows it otherwise', async (t) => {
  const { store } = await openFixture()
  await store.put('a', 'e')
  store.setVersioning('enabled')
  await store.put('b', 'e')
  store.setVersioning('unversioned')
  t.strictSame(await store.deleteMany(['b', 'a']), { kind: 'bucket-gone' })
  t.equal((await outcomesOf(store.deleteMany(['a', 'b']))).length, 1, 'b is told when asked alone')
  t.strictSame(await store.deleteMany(['b']), { kind: 'bucket-gone' })
})

t.test('a frozen bucket takes none', async (t) => {
  const { store, partition } = await openFixture()
  await store.put('a', 'e')
  const commandId = store.uid()
  await partition.commit({
    ...{ kind: 'set-bucket', commandId, state: 'frozen' },
    bucket: { ...store.bucket, revision: 2 },
  })
  t.strictSame(await store.deleteMany(['a']), { kind: 'bucket-gone' })
})
