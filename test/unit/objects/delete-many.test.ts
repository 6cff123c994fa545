// Deletions of one request: none begins once somebody may have heard that it failed, or that nobody waits for it.
import t from 'tap'
import type { Command, DeletionOutcome } from '../../../src/metadata/contract.ts'
import { deleteMany } from '../../../src/objects/delete-many.ts'
import type { MetadataClient } from '../../../src/objects/metadata-client.ts'
import type { Bucket } from '../../../src/objects/object-store.ts'

interface Begun {
  keys: string[]
  done(): void
  fail(error: Error): void
}

/** Partitions by the first letter of a key; their commands end when the test says so. */
class Partitions {
  readonly begun = new Map<string, Begun>()
  readonly client = {
    route: (_bucket: Bucket, key: string) => ({ metadata: key[0] }),
    commitIn: (partition: string, _bucket: Bucket, make: (envelope: object) => Command) => {
      const command = make({}) as Extract<Command, { kind: 'delete-objects' }>
      const keys = command.keys.map(({ key }) => key)
      const outcomes: DeletionOutcome[] = keys.map(() => ({ kind: 'done' }))
      return new Promise((resolve, reject) => {
        const done = (): void => resolve({ kind: 'done', outcomes })
        this.begun.set(partition, { keys, done, fail: reject })
      })
    },
  } as unknown as MetadataClient
}

const bucket = { name: 'bucket' } as Bucket
const keys = ['a0', ...Array.from({ length: 400 }, (_, at) => `b${at}`)].map((key) => ({
  ...{ key, conditions: {} },
}))

async function turns(): Promise<void> {
  for (let count = 0; count < 5; count += 1) await new Promise((resolve) => setImmediate(resolve))
}

t.test('keys of one partition go in several commands, one behind the other', async (t) => {
  const { client, begun } = new Partitions()
  const { signal } = new AbortController()
  const deleting = deleteMany(client, bucket, { keys, options: {} }, signal)
  begun.get('a')!.done()
  let seen = 0
  while (seen < 400) {
    const command = begun.get('b')!
    t.equal(command.keys[0], `b${seen}`)
    seen += command.keys.length
    command.done()
    await turns()
  }
  t.equal((await deleting).length, keys.length)
})

t.test('no command begins once one has failed, and who has begun is waited for', async (t) => {
  const { client, begun } = new Partitions()
  const { signal } = new AbortController()
  const deleting = deleteMany(client, bucket, { keys, options: {} }, signal)
  let failed: unknown
  deleting.catch((error) => {
    failed = error
  })
  begun.get('a')!.fail(new Error('nobody leads it'))
  await turns()
  t.equal(failed, undefined, 'the other command is under way')
  const [first] = begun.get('b')!.keys
  begun.get('b')!.done()
  await t.rejects(deleting, /nobody leads it/)
  await turns()
  t.equal(begun.get('b')!.keys[0], first, 'it was the last')
})

t.test('no command begins once nobody waits', async (t) => {
  const { client, begun } = new Partitions()
  const gone = new AbortController()
  const deleting = deleteMany(client, bucket, { keys, options: {} }, gone.signal)
  const [first] = begun.get('b')!.keys
  gone.abort(new Error('the client went away'))
  begun.get('a')!.done()
  begun.get('b')!.done()
  await t.rejects(deleting, /the client went away/)
  t.equal(begun.get('b')!.keys[0], first)
})
