// Nodes that know more of etcd are asked: some of them at a time, and who does not answer is nobody's reason.
import t from 'tap'
import { Hearsay, hearEveryone } from '../../../src/cluster/hearsay.ts'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import type { EtcdKnowledge } from '../../../src/placement/etcd/history.ts'
import {
  answerWhatItKnows,
  askWhatItKnows,
} from '../../../src/storage-node/rpc/knowledge-messages.ts'
import { MessageType } from '../../../src/storage-node/rpc/messages.ts'
import type { RequestContext } from '../../../src/storage-node/rpc/node-service.ts'

const KNOWN: EtcdKnowledge = {
  ...{ clusterId: '14841639068965178418', revision: 2 ** 40, generation: 3 },
  ...{ epoch: 2 ** 35, head: 'f00d' },
}

/** Nodes that know this; an error is what others get for an answer. */
function openNodes(known: Record<string, EtcdKnowledge | Error | undefined>) {
  const asked: string[] = []
  const peers = {
    ask: async (to: string, { type, body }: { type: number; body: Uint8Array }) => {
      asked.push(to)
      const found = known[to]
      if (found instanceof Error) throw found
      const answer = answerWhatItKnows(() => found).messages.get(type)!
      return (await answer(body, {} as RequestContext)) as Uint8Array
    },
  }
  return { asked, peers }
}

t.test('what a node knows comes back as it was', async (t) => {
  const { peers } = openNodes({ a: KNOWN, b: undefined })
  t.same(await askWhatItKnows('a', { peers, deadlineMs: 1 }), KNOWN)
  t.equal(await askWhatItKnows('b', { peers, deadlineMs: 1 }), undefined)
  const garbled = { ask: async () => Buffer.from('nonsense') }
  await t.rejects(askWhatItKnows('a', { peers: garbled, deadlineMs: 1 }), { code: 'BAD_MESSAGE' })
  t.equal(MessageType.WhatDoYouKnow, 68)
})

t.test('nodes are asked, and what they know is heard', async (t) => {
  const { peers, asked } = openNodes({ a: KNOWN, b: undefined, c: new Error('away') })
  const heard: unknown[] = []
  const mirror = { hear: async (...said: unknown[]) => void heard.push(said) }
  const nodes = () => ['a', 'b', 'c']
  const hearsay = new Hearsay({ world: realWorld(), log: silentLog, nodes, peers, mirror })
  t.teardown(() => hearsay.stop())
  await hearsay.look()
  t.same(asked.sort(), ['a', 'b', 'c'])
  t.same(heard, [[KNOWN, 'node a']])
})

t.test('of many nodes some are asked, others the next time', async (t) => {
  const names = Array.from({ length: 100 }, (_, at) => `n${at}`)
  const { peers, asked } = openNodes({})
  const mirror = { hear: async () => undefined }
  const nodes = () => names
  const hearsay = new Hearsay({ world: realWorld(), log: silentLog, nodes, peers, mirror })
  t.teardown(() => hearsay.stop())
  await hearsay.look()
  t.equal(asked.length, 8)
  t.equal(new Set(asked).size, 8)
  for (let round = 0; round < 20; round += 1) await hearsay.look()
  t.ok(new Set(asked).size > 40, 'by chance')
})

t.test('a command asks every node once', async (t) => {
  const names = Array.from({ length: 20 }, (_, at) => `n${at}`)
  const { peers, asked } = openNodes({ n19: KNOWN })
  const heard: unknown[] = []
  const mirror = { hear: async (...said: unknown[]) => void heard.push(said) }
  await hearEveryone({ world: realWorld(), nodes: () => names, peers, mirror })
  t.same(asked.sort(), [...names].sort())
  t.same(heard, [[KNOWN, 'node n19']])
})
