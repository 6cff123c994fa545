// A partition whose log may have been deposed: nothing is answered before it is sure that it was not, and nothing is
// appended for who does not wait any more.
import t from 'tap'
import type { Uid } from '../../../src/kit/uid.ts'
import type { Queries } from '../../../src/metadata/contract.ts'
import { askQuestion, type QuestionName } from '../../../src/metadata/questions.ts'
import { MISSING_SLOT } from '../../../src/metadata/records.ts'
import { KeyKind } from '../../../src/metadata/rows/keys.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import { MemoryLog } from './memory-log.ts'
import { bucket, everything, openFixture } from './partition-fixture.ts'

/** A log that is asked whether it still leads. */
class ConfirmingLog extends MemoryLog {
  confirmed = 0
  isDeposed = false

  async confirm(): Promise<void> {
    this.confirmed += 1
    await Promise.resolve()
    if (this.isDeposed) throw new MetadataUnavailable('somebody else leads')
  }
}

const uid = '0'.repeat(32) as Uid
const versionId = '0'.repeat(26)
const blob = {
  ...{ uid, part: 0, bytes: 1, code: { dataCount: 1, parityCount: 1, matrix: 1 as const } },
  ...{ cellBytes: 128, partition: 0, drives: [1, 2] },
}

/** One of each question. */
const QUESTIONS: { [Name in QuestionName]: Parameters<Queries[Name]> } = {
  getObject: [bucket, 'k'],
  getManifest: [uid],
  scanObjects: [everything],
  getUpload: [bucket, 'k', uid],
  listParts: [uid, 0, 10],
  scanUploads: [{ ...everything, afterUploadId: '' }],
  scanVersions: [{ ...everything, afterVersionId: '' }],
  countUploads: [],
  getAnnotation: [versionId, 'name'],
  scanAnnotations: [versionId, { prefix: '', after: '', limit: 10 }],
  scanBlobs: [undefined, 10],
  owedBlobs: [10],
  findBlob: [{ bucketId: 7, key: 'k', blob }],
  findInOrder: [{ bucketId: 7, key: 'k' }, [blob]],
  settle: [],
  dueGarbage: [0, 10],
}

for (const name of Object.keys(QUESTIONS) as QuestionName[]) {
  t.test(`${name} is answered by who leads only`, async (t) => {
    const log = new ConfirmingLog()
    const { partition } = await openFixture({}, log)
    const ask = () => askQuestion(partition, name, QUESTIONS[name] as never) as Promise<unknown>
    await ask()
    t.equal(log.confirmed, 1)
    log.isDeposed = true
    await t.rejects(ask(), MetadataUnavailable)
  })
}

t.test('so is what only its own process asks', async (t) => {
  const log = new ConfirmingLog()
  const { partition } = await openFixture({}, log)
  const lacking = { ...blob, drives: [1, MISSING_SLOT] }
  const asking: (() => Promise<unknown>)[] = [
    () => partition.garbageAfter({ dueMs: 0, uid }, 10),
    () => partition.owedAfter({ bucketId: 7, key: 'k', blob: lacking }, 10),
    () => partition.countOwed(),
  ]
  for (const ask of asking) await ask()
  t.equal(log.confirmed, asking.length)
  log.isDeposed = true
  for (const ask of asking) await t.rejects(ask(), MetadataUnavailable)
})

t.test('an entry of its own is enough for a command, a refusal has to be confirmed', async (t) => {
  const log = new ConfirmingLog()
  const { store } = await openFixture({}, log)
  const commandId = store.uid()
  const version = store.version('a')
  const put = await store.put('k', 'a', { commandId, version })
  t.equal(put.kind, 'done')
  t.equal(log.confirmed, 0)
  const conditions = { ifNoneMatch: ['*'] }
  t.match(await store.put('k', 'b', { conditions }), { kind: 'condition-failed' })
  t.equal(log.confirmed, 1)
  t.strictSame(await store.put('k', 'a', { commandId, version }), put, 'sent again')
  t.equal(log.confirmed, 2)
  log.isDeposed = true
  await t.rejects(store.put('k', 'b', { conditions }), MetadataUnavailable)
  await t.rejects(store.put('k', 'a', { commandId, version }), MetadataUnavailable)
})

t.test('nothing is appended for a command that is late', async (t) => {
  const { store, partition, log } = await openFixture()
  const command = (key: string, etag: string) => ({
    ...{ kind: 'put-object' as const, bucket, key, version: store.version(etag), conditions: {} },
    commandId: store.uid(),
  })
  await partition.commit(command('a', '1'), { isLate: () => false })
  const applied = log.applied.length
  const late = command('b', '2')
  await t.rejects(partition.commit(late, { isLate: () => true }), MetadataUnavailable)
  t.equal(log.applied.length, applied)
  t.equal((await partition.commit(late)).kind, 'done', 'it may be sent again')
  t.strictSame(await store.keys(), ['a', 'b'])
})

t.test('what was swept on the way of a late command is forgotten all the same', async (t) => {
  const { store, partition, log, clock } = await openFixture()
  await store.put('old', 'e')
  clock.ms += 11 * 60 * 1000
  const [expired] = log.ofKind(KeyKind.Answer)
  for (let count = 1; count < 255; count += 1) await store.put('k', `e${count}`)
  const late = {
    ...{ kind: 'put-object' as const, bucket, key: 'late', version: store.version('l') },
    ...{ conditions: {}, commandId: store.uid() },
  }
  await t.rejects(partition.commit(late, { isLate: () => true }), MetadataUnavailable)
  await partition.settle()
  const isLeft = log.ofKind(KeyKind.Answer).some(({ key }) => expired!.key === key)
  t.notOk(isLeft)
  t.notOk(await store.get('late'))
})
