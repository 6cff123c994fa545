// What a node answers to those who ask its partitions: elsewhere, unavailable, too late, and nothing that hangs.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import { Overloaded } from '../../../../src/kit/semaphore.ts'
import { SearchTooLong } from '../../../../src/metadata/commands/rows-in-order.ts'
import type { Command, MetadataPartition } from '../../../../src/metadata/contract.ts'
import { MetadataUnavailable } from '../../../../src/metadata/unavailable.ts'
import { MessageType } from '../../../../src/storage-node/rpc/messages.ts'
import type { RequestContext } from '../../../../src/storage-node/rpc/node-service.ts'
import {
  decodeReply,
  encodeCommit,
  encodeQuestion,
} from '../../../../src/storage-node/rpc/partition-messages.ts'
import { PartitionService } from '../../../../src/storage-node/rpc/partition-service.ts'
import { NodeRefused } from '../../../../src/storage-node/rpc/trouble.ts'
import { bucket, uidAt } from '../../metadata/partition-fixture.ts'

const command: Command = {
  ...{ kind: 'delete-object', commandId: uidAt(1), bucket, key: 'k', conditions: {} },
}
const question = { name: 'getObject' as const, asked: [bucket, 'k'] as [typeof bucket, string] }

/** A service over one partition, of which only `led` is there, and a clock that the test moves. */
function serve(led: Partial<MetadataPartition> | undefined) {
  const clock = { ms: 0, now: () => 0, monotonicMs: () => clock.ms, sleep: async () => {} }
  const held: number[] = []
  const gone = new AbortController()
  const service = new PartitionService({
    findLed: () => led as MetadataPartition | undefined,
    primaries: { primaryOf: (partition) => (partition === 3 ? 'n3' : undefined) },
    ...{ clock, log: silentLog },
  })
  const context: RequestContext = {
    ...{ from: 'g1', deadlineMs: 1000, signal: gone.signal, checkDeadline: () => {} },
    holdAnswer: async (bytes) => {
      held.push(bytes)
    },
  }
  const run = async (type: number, body: Uint8Array) => {
    const answer = await service.messages.get(type)!(body, context)
    return decodeReply(answer instanceof Uint8Array ? answer : Buffer.concat(answer))
  }
  return {
    ...{ clock, held, gone, context },
    commit: (partition = 0) => run(MessageType.CommitCommand, encodeCommit(partition, command)),
    ask: (partition = 0) => run(MessageType.AskQuestion, encodeQuestion(partition, question)),
    run,
  }
}

t.test('a partition that is not led here is elsewhere', async (t) => {
  const { commit, ask } = serve(undefined)
  t.strictSame(await commit(3), { kind: 'elsewhere', primary: 'n3' })
  t.strictSame(await ask(4), { kind: 'elsewhere', primary: undefined })
})

t.test('a command is late when its deadline is over, or its asker has gone', async (t) => {
  const found: boolean[] = []
  const { commit, clock, gone } = serve({
    commit: async (_command, sending) => {
      found.push(sending!.isLate!())
      clock.ms = 999
      found.push(sending!.isLate!())
      clock.ms = 1000
      found.push(sending!.isLate!())
      clock.ms = 0
      gone.abort(new NodeRefused('gone', 'late'))
      found.push(sending!.isLate!())
      return { kind: 'done' } as never
    },
  })
  t.match(await commit(), { kind: 'unavailable' }, 'it may be done')
  t.same(found, [false, false, true, true])
})

t.test('what can not be known is told as what it is', async (t) => {
  const failing = (error: Error) => serve({ getObject: () => Promise.reject(error) }).ask()
  t.strictSame(await failing(new MetadataUnavailable('no quorum')), {
    ...{ kind: 'unavailable', reason: 'no quorum' },
  })
  t.strictSame(await failing(new SearchTooLong('long')), {
    kind: 'search-too-long',
    reason: 'long',
  })
  await t.rejects(failing(new Overloaded('full')), Overloaded)
  await t.rejects(failing(new TypeError('a bug')), { code: 'NODE_FAILED' })
})

t.test('who has gone leaves nothing behind, whatever hangs', async (t) => {
  const { ask, gone } = serve({ getObject: () => new Promise(() => {}) })
  const asked = ask()
  gone.abort(new NodeRefused('gone', 'late'))
  t.match(await asked, { kind: 'unavailable' })
})

t.test('an answer is counted while it is sent', async (t) => {
  const { ask, held } = serve({ getObject: async () => 'bucket-gone' })
  t.match(await ask(), { kind: 'answered' })
  t.same(held, [13], 'a byte, and eleven letters behind their length')
})

t.test('a command that was done is not told to have been too much', async (t) => {
  const { commit, ask, context } = serve({
    commit: async () => ({ kind: 'done' }) as never,
    getObject: async () => 'bucket-gone',
  })
  context.holdAnswer = () => Promise.reject(new Overloaded('no room for answers'))
  t.match(await commit(), { kind: 'answered' })
  await t.rejects(ask(), Overloaded)
})

t.test('what is not understood is refused', async (t) => {
  const { run } = serve({ commit: () => Promise.reject(new Error('it must not come here')) })
  const refused = { code: 'BAD_MESSAGE' }
  await t.rejects(run(MessageType.CommitCommand, Buffer.alloc(3)), refused)
  await t.rejects(run(MessageType.CommitCommand, Buffer.alloc(40)), refused)
  await t.rejects(run(MessageType.AskQuestion, Buffer.alloc(40)), refused)
})
