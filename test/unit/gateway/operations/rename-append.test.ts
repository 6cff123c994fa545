// What the store alone can say of renames and appends: a source that changed meanwhile, an object with too many parts.
import t from 'tap'
import type { AppendOutcome, DeleteOptions } from '../../../../src/objects/object-store.ts'
import { openGateway } from './fake-call.ts'

const RENAME = { key: 'new', headers: { 'x-amz-rename-source': 'old' } }

t.test('the old name is removed only as it was copied', async (t) => {
  const { ask, refused, store } = await openGateway()
  await ask('PutObject', { key: 'old', body: 'hello' })
  const asked: DeleteOptions[] = []
  const remove = store.delete.bind(store)
  store.delete = async (_bucket, _key, options) => {
    asked.push(options)
    // Somebody else is faster.
    return { kind: 'condition-failed', condition: 'If-Match' }
  }
  t.match(await refused('RenameObject', RENAME), { code: 'ConditionalRequestConflict' })
  t.equal((await ask('GetObject', { key: 'new' })).text, 'hello', 'both names are there')
  t.equal((await ask('GetObject', { key: 'old' })).text, 'hello')
  t.type(asked[0]?.conditions.ifCurrent, 'string')
  store.delete = remove
  t.equal((await ask('RenameObject', RENAME)).status, 200, 'renamed again only one is left')
  t.match(await refused('GetObject', { key: 'old' }), { code: 'NoSuchKey' })
})

t.test('a refused write leaves the old name', async (t) => {
  const { ask, refused, store } = await openGateway()
  await ask('PutObject', { key: 'old', body: 'hello' })
  store.put = async () => ({ kind: 'condition-failed', condition: 'If-None-Match' })
  t.match(await refused('RenameObject', RENAME), { code: 'PreconditionFailed' })
  t.equal((await ask('GetObject', { key: 'old' })).text, 'hello')
})

t.test('a token that failed may be used again', async (t) => {
  const { ask, refused } = await openGateway()
  const headers = { ...RENAME.headers, 'x-amz-client-token': 'unit-token' }
  t.match(await refused('RenameObject', { ...RENAME, headers }), { code: 'NoSuchKey' })
  await ask('PutObject', { key: 'old', body: 'hello' })
  t.equal((await ask('RenameObject', { ...RENAME, headers })).status, 200)
  t.equal((await ask('RenameObject', { ...RENAME, headers })).status, 200)
})

t.test('what an append is told', async (t) => {
  const cases: [outcome: AppendOutcome, headers: Record<string, string>, code: string][] = [
    [{ kind: 'wrong-offset', bytes: 7 }, {}, 'InvalidWriteOffset'],
    [{ kind: 'too-many-parts' }, {}, 'TooManyParts'],
    [{ kind: 'changed' }, {}, 'ConditionalRequestConflict'],
    [{ kind: 'bucket-gone' }, {}, 'NoSuchBucket'],
    [{ kind: 'condition-failed', condition: 'If-Match' }, {}, 'ConditionalRequestConflict'],
    [
      { kind: 'condition-failed', condition: 'If-Match' },
      { 'if-match': '*' },
      'PreconditionFailed',
    ],
  ]
  for (const [outcome, conditions, code] of cases) {
    const { ask, refused, store } = await openGateway()
    await ask('PutObject', { key: 'a', body: 'hello' })
    store.append = async () => outcome
    const headers = { 'x-amz-write-offset-bytes': '5', ...conditions }
    t.match(await refused('PutObject', { key: 'a', body: 'x', headers }), { code }, code)
  }
})
