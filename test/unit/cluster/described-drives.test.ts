// What nodes move together: no time is told while one of them can not tell, and what waits for drives is left out of it.
import t from 'tap'
import { sumMoves } from '../../../src/cluster/described-drives.ts'
import type { DescribedMoves, DrivesOfNode } from '../../../src/storage-node/rpc/drive-messages.ts'

const MOVING: DescribedMoves = {
  ...{ phase: 'moving', movedShards: 1, movedBytes: 10, anewBlobs: 0, bytesPerSecond: 5 },
  ...{ remainingShards: 8, remainingBytes: 80, remainingAnew: 0, waitingShards: 0, leftMs: 16_000 },
}
const { bytesPerSecond: _, leftMs: __, ...IDLE } = { ...MOVING, phase: 'idle' as const }

function sumOf(...moves: DescribedMoves[]) {
  const described = moves.map((one, at): [string, DrivesOfNode] => {
    return [`${at}`, { epoch: 3, drives: [], leaving: [], counts: [], moves: one }]
  })
  return sumMoves(new Map([...described, ['silent', undefined]]), { epoch: 3 })!
}

t.test('the slowest node counts', async (t) => {
  const sum = sumOf(MOVING, { ...MOVING, leftMs: 40_000 }, { ...IDLE, remainingShards: 0 })
  t.match(sum, { remainingShards: 16, bytesPerSecond: 10, waitingShards: 0, leftMs: 40_000 })
})

t.test('a node at which nothing moves foretells nothing', async (t) => {
  t.equal(sumOf(MOVING, IDLE).leftMs, undefined)
  const { remainingShards: ___, ...uncounted } = IDLE
  t.equal(sumOf(MOVING, uncounted).leftMs, undefined)
})

t.test('what waits for drives keeps no time from being told of the others', async (t) => {
  const sum = sumOf(MOVING, { ...IDLE, waitingShards: 8 })
  t.match(sum, { remainingShards: 16, waitingShards: 8, leftMs: 16_000 })
})
