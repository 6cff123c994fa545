// What a node says of those that it asks: there and back, and nothing but that.
import t from 'tap'
import type { HeardNode } from '../../../../src/placement/witnesses.ts'
import { MessageType } from '../../../../src/storage-node/rpc/messages.ts'
import type { RequestContext } from '../../../../src/storage-node/rpc/node-service.ts'
import {
  answerWhomItHears,
  askWhomItHears,
  decodeHeard,
  encodeHeard,
} from '../../../../src/storage-node/rpc/pulse-messages.ts'
import { BadMessage } from '../../../../src/storage-node/rpc/trouble.ts'

const HEARD: HeardNode[] = [
  { nodeId: 'a', silentMs: 1_500, hasAnswered: true },
  { nodeId: 'b', silentMs: 0, hasAnswered: false },
]

t.test('what a node hears comes back as it was, from whom it was asked', async (t) => {
  const { messages } = answerWhomItHears(() => HEARD)
  const answer = messages.get(MessageType.WhomDoYouHear)!
  const asked: string[] = []
  const peers = {
    ask: async (to: string, { type, body }: { type: number; body: Uint8Array }) => {
      asked.push(to)
      t.equal(type, MessageType.WhomDoYouHear)
      return (await answer(body, {} as RequestContext)) as Uint8Array
    },
  }
  t.same(await askWhomItHears('c', { peers, deadlineMs: 9 }), HEARD)
  t.same(asked, ['c'])
})

t.test('anything else is refused', async (t) => {
  t.throws(() => decodeHeard(Buffer.from('nonsense')), BadMessage)
  const wrong = [{ nodeId: 'a', silentMs: 'long', hasAnswered: true }]
  t.throws(() => decodeHeard(encodeHeard(wrong as unknown as HeardNode[])), BadMessage)
})
