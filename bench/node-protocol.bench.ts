// What it costs to speak with another node over loopback: both ends in this process, in CPU time, beside a copy of the
// same bytes. The node keeps nothing: what is measured is the way there and back.
import { kibibytes, mebibytes } from '../src/kit/bytes.ts'
import { CELL_BYTES, MatrixId } from '../src/kit/erasure-code.ts'
import { silentLog } from '../src/kit/log.ts'
import type { Uid } from '../src/kit/uid.ts'
import { realWorld } from '../src/kit/world.ts'
import type {
  DriveMoment,
  ShardDescription,
  ShardOpened,
  StorageNode,
} from '../src/storage-node/contract.ts'
import { NodeServer } from '../src/storage-node/rpc/node-server.ts'
import { Peers } from '../src/storage-node/rpc/peers.ts'
import { ShardService } from '../src/storage-node/rpc/shard-service.ts'
import { printLine, rateOf, round } from './measure.ts'

/** One line of the result: 1e9 bytes, and requests, in a second of CPU time of both ends together. */
export interface NodeProtocolRow {
  operation: string
  gigabytesPerSecond: number
  requestsPerSecond: number
  /** The rate of bytes, divided by that of a copy of a cell. */
  ofCopy: number
}

const CELL = Buffer.alloc(CELL_BYTES, 7)
const SHARD_BYTES = mebibytes(8)

/** Measures everything for `roundMs` of CPU time each and prints a line each. */
export async function benchNodeProtocol(
  options: { roundMs?: number; print?: (line: string) => void } = {},
): Promise<NodeProtocolRow[]> {
  const { roundMs = 1500, print = printLine } = options
  const { node, close } = await openPair()
  const target = Buffer.alloc(CELL_BYTES)
  const copy = rateOf(() => CELL.copy(target), CELL_BYTES, 200)
  const rows: NodeProtocolRow[] = []
  try {
    for (const { operation, bytes, requests, work } of worksOn(node)) {
      await repeatFor(roundMs / 3, work)
      const { rounds, seconds } = await repeatFor(roundMs, work)
      const rate = (rounds * bytes) / seconds / 1e9
      rows.push({
        operation,
        gigabytesPerSecond: round(rate),
        requestsPerSecond: Math.round((rounds * requests) / seconds),
        ofCopy: Math.round((rate / copy) * 10_000) / 10_000,
      })
      print(JSON.stringify(rows.at(-1)))
    }
  } finally {
    await close()
  }
  return rows
}

interface Work {
  operation: string
  bytes: number
  requests: number
  work: () => Promise<unknown>
}

function worksOn(node: StorageNode): Work[] {
  const cells = SHARD_BYTES / CELL_BYTES
  return [
    {
      operation: 'write 4 shards of 8 MiB at once',
      bytes: 4 * SHARD_BYTES,
      requests: 4,
      work: () => together(4, () => putShard(node, SHARD_BYTES)),
    },
    {
      operation: 'read 4 shards of 8 MiB at once, 4 cells ahead',
      bytes: 4 * SHARD_BYTES,
      requests: 4 * cells,
      work: () => together(4, () => readShard(node, cells)),
    },
    {
      operation: 'write 64 shards of 4 KiB at once',
      bytes: 64 * kibibytes(4),
      requests: 64,
      work: () => together(64, () => putShard(node, kibibytes(4))),
    },
    {
      operation: 'delete 64 shards at once',
      bytes: 0,
      requests: 64,
      work: () => together(64, () => node.deleteShard(1, describe(1).id)),
    },
  ]
}

async function openPair(): Promise<{ node: StorageNode; close: () => Promise<void> }> {
  const world = realWorld()
  const secret = Buffer.from(world.random.bytes(32))
  const identityOf = (nodeId: string) => ({ clusterId: 'bench', nodeId, secrets: () => [secret] })
  const service = new ShardService(forgetful, { clock: world.clock, log: silentLog })
  const server = new NodeServer({ identity: identityOf('n1') }, { world, log: silentLog, service })
  const { port } = await server.listen({ address: '127.0.0.1', port: 0 })
  const peers = new Peers({ identity: identityOf('g1') }, world)
  await peers.setOrigins(new Map([['n1', `http://127.0.0.1:${port}`]]))
  const node = peers.nodeOf('n1')
  if (node === undefined) throw new Error('the node has an address')
  return {
    node,
    close: async () => {
      await peers.close()
      await server.close({ deadlineMs: 0 })
      await service.close()
    },
  }
}

const forgetful: StorageNode = {
  beginShard: async () => ({
    write: async () => {},
    commit: async () => {},
    abort: async () => {},
  }),
  hasRoom: () => true,
  openShard: async (): Promise<ShardOpened> => ({
    kind: 'found',
    reader: {
      describe: async () => ({ kind: 'missing' }),
      readCell: async (_index, target) => ({ kind: 'found', bytes: CELL.copy(target) }),
      close: async () => {},
    },
  }),
  deleteShard: async () => {},
  momentOn: async () => '' as DriveMoment,
  deleteUntouched: async () => true,
  keepShard: async () => {},
}

function describe(shardBytes: number): ShardDescription {
  return {
    id: { uid: '0'.repeat(32) as Uid, part: 0, slot: 0 },
    code: { dataCount: 4, parityCount: 2, matrix: MatrixId.CentredVandermonde },
    cellBytes: Math.min(shardBytes, CELL_BYTES),
    shardBytes,
    blobBytes: shardBytes * 4,
    ...{ partition: 1, mapEpoch: 1, bucketId: 1 },
    key: 'photos/2026/cat.jpg',
    metadata: new Uint8Array(100),
  }
}

async function putShard(node: StorageNode, shardBytes: number): Promise<void> {
  const description = describe(shardBytes)
  const writer = await node.beginShard(1, description)
  const cell = CELL.subarray(0, description.cellBytes)
  for (let at = 0; at < shardBytes; at += cell.length) await writer.write(cell)
  await writer.commit()
}

async function readShard(node: StorageNode, cells: number): Promise<void> {
  const opened = await node.openShard(1, describe(SHARD_BYTES).id)
  if (opened.kind !== 'found') throw new Error('the shard is there')
  const targets = [0, 1, 2, 3].map(() => Buffer.allocUnsafe(CELL_BYTES))
  for (let index = 0; index < cells; index += targets.length) {
    await Promise.all(targets.map((target, at) => opened.reader.readCell(index + at, target)))
  }
  await opened.reader.close()
}

async function together(count: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: count }, work))
}

async function repeatFor(
  forMs: number,
  work: () => Promise<unknown>,
): Promise<{ rounds: number; seconds: number }> {
  const start = process.cpuUsage()
  for (let rounds = 1; ; rounds += 1) {
    await work()
    const { user, system } = process.cpuUsage(start)
    const seconds = (user + system) / 1e6
    if (seconds * 1000 >= forMs) return { rounds, seconds }
  }
}
