// What nodes are told for the upkeep of a cluster: there and back, and nothing but that.
import t from 'tap'
import { MatrixId } from '../../../../src/kit/erasure-code.ts'
import type { Uid } from '../../../../src/kit/uid.ts'
import type { Blob } from '../../../../src/metadata/records.ts'
import { cbor } from '../../../../src/storage-node/rpc/cbor.ts'
import { MessageType } from '../../../../src/storage-node/rpc/messages.ts'
import type { RequestContext } from '../../../../src/storage-node/rpc/node-service.ts'
import { decodeReply } from '../../../../src/storage-node/rpc/partition-messages.ts'
import {
  type BlobReport,
  decodeJudge,
  decodeReport,
  decodeUpkeepStatus,
  decodeVerdicts,
  encodeJudge,
  encodeReport,
  encodeUpkeepStatus,
  type NodeUpkeepStatus,
  REPORTED_MAX,
} from '../../../../src/storage-node/rpc/upkeep-messages.ts'
import { UpkeepService } from '../../../../src/storage-node/rpc/upkeep-service.ts'
import { uidAt } from '../../metadata/partition-fixture.ts'

function blobAt(ms: number): Blob {
  return {
    ...{ uid: uidAt(ms), part: 1, bytes: 100, cellBytes: 128, partition: 9 },
    code: { dataCount: 4, parityCount: 2, matrix: MatrixId.CentredVandermonde },
    drives: [1, 2, 3, 4, 5, 6],
  }
}

const STATUS: NodeUpkeepStatus = {
  ...{ partitions: [1, 4], complete: false, lastVerifiedMs: 5, queued: 2, waiting: 1 },
  unrepairable: [{ uid: uidAt(3), part: 1, key: 'k', bucketId: 7, error: 'why' }],
  unrepairableCount: 1,
  passes: [{ kind: 'scrub', startedMs: 1, blobs: 2, bytes: 3, mendedShards: 4, leftMs: 9 }],
  ...{ endedChecks: 1, endedScrubs: 2, checkedBlobs: 3, mendedShards: 4, bytesRead: 5 },
  ...{ bytesWritten: 6, checkedFiles: 7, damagedFiles: 8 },
  ...{ orphansDeleted: 14, orphanBytesDeleted: 15 },
}

t.test('reports and status come back as they were', async (t) => {
  const damage: BlobReport = { kind: 'damage', blobs: [blobAt(1), blobAt(2)] }
  t.strictSame(decodeReport(encodeReport(3, damage)), { partition: 3, report: damage })
  const id = { uid: uidAt(1) as Uid, part: 2, slot: 3 }
  const shard = { driveId: 4, id, bucketId: 5, key: 'a/b', shardBytes: 6 }
  const shards = [shard, { ...shard, insteadOn: 9 }]
  t.strictSame(decodeJudge(encodeJudge(7, shards)), { partition: 7, shards })
  t.strictSame(decodeUpkeepStatus(encodeUpkeepStatus(STATUS)), STATUS)
})

t.test('what is too much, or no report, is refused', async (t) => {
  const blobs = Array.from({ length: REPORTED_MAX + 1 }, () => blobAt(1))
  const bytes = encodeReport(0, { kind: 'damage', blobs })
  t.throws(() => decodeReport(bytes), { code: 'BAD_MESSAGE' })
  t.throws(() => decodeReport(Buffer.alloc(9)), { code: 'BAD_MESSAGE' })
  t.throws(() => decodeVerdicts(cbor.encode(['orphan']), 2), { code: 'BAD_MESSAGE' })
  t.throws(() => decodeVerdicts(cbor.encode(['what']), 1), { code: 'BAD_MESSAGE' })
})

t.test('only who leads the partition takes a report', async (t) => {
  const taken: BlobReport[] = []
  let mends = 0
  const service = new UpkeepService({
    findLed: (id) => (id === 1 ? ({} as never) : undefined),
    primaries: { primaryOf: () => 'n3' },
    upkeep: {
      take: (_partition, report) => taken.push(report),
      judge: async (_partition, { length }) => Array(length).fill('undecided'),
      status: () => STATUS,
      healNow: () => ++mends,
    },
  })
  const run = async (type: number, body: Uint8Array): Promise<Buffer> => {
    const answer = await service.messages.get(type)!(body, {} as RequestContext)
    return answer instanceof Uint8Array ? Buffer.from(answer) : Buffer.concat(answer)
  }
  const report: BlobReport = { kind: 'damage', blobs: [blobAt(1)] }
  t.match(decodeReply(await run(MessageType.ReportBlobs, encodeReport(1, report))), {
    kind: 'answered',
  })
  t.strictSame(decodeReply(await run(MessageType.ReportBlobs, encodeReport(2, report))), {
    kind: 'elsewhere',
    primary: 'n3',
  })
  t.strictSame(taken, [report])
  t.match(decodeReply(await run(MessageType.JudgeShards, encodeJudge(2, []))), {
    kind: 'elsewhere',
  })
  const id = { uid: uidAt(1), part: 2, slot: 3 }
  const shards = [{ driveId: 4, id, bucketId: 5, key: 'a', shardBytes: 6 }]
  const reply = decodeReply(await run(MessageType.JudgeShards, encodeJudge(1, shards)))
  t.equal(reply.kind, 'answered')
  if (reply.kind === 'answered') t.strictSame(decodeVerdicts(reply.answer, 1), ['undecided'])
  t.strictSame(decodeUpkeepStatus(await run(MessageType.AskUpkeep, new Uint8Array())), STATUS)
  t.equal((await run(MessageType.MendNow, new Uint8Array())).readBigUInt64LE(), 1n)
  t.equal(mends, 1)
})
