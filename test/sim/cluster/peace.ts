// The cluster after the last trouble: it becomes whole by itself within bounded time, and then everything is as it has to
// be (I5, I7): every shard where its row says, every replica of a partition the same, nothing owed.
import { createHash } from 'node:crypto'
import { DriveUnavailable } from '../../../src/kit/drive-unavailable.ts'
import { shardCount } from '../../../src/kit/erasure-code.ts'
import type { MetadataPartition } from '../../../src/metadata/contract.ts'
import type { Blob } from '../../../src/metadata/records.ts'
import type { ReplicaId } from '../../../src/metadata/replication/decision.ts'
import { MetadataUnavailable } from '../../../src/metadata/unavailable.ts'
import type { StorageNode } from '../../../src/storage-node/contract.ts'
import type { ReplicasOfNode } from '../../../src/storage-node/replicated/contract.ts'
import type { SimTime } from '../time.ts'
import { blobsOf } from './blobs.ts'
import type { ClusterWorld } from './world.ts'

const WHOLE_WITHIN_MS = 600_000
const LOOK_MS = 2_000

/** Gateways that missed nodes in the last trouble have heard of them by then; before, they do not ask them. */
const HEARD_WITHIN_MS = 5_000

/** Waits until nothing is missing; complains of what is missing for too long. */
export async function awaitWhole(
  world: ClusterWorld,
  {
    time,
    complain,
    say,
  }: { time: SimTime; complain(trouble: string): void; say(line: string): void },
): Promise<void> {
  const untilMs = time.nowMs + WHOLE_WITHIN_MS
  let lacks: string[] = []
  await time.sleep(HEARD_WITHIN_MS)
  while (time.nowMs < untilMs) {
    lacks = await lacksOf(world)
    if (lacks.length === 0) return say('the cluster is whole')
    say(`not whole: ${lacks[0]}`)
    await time.sleep(LOOK_MS)
  }
  complain(`I7: the cluster does not get whole: ${lacks.join('; ')}`)
}

async function lacksOf(world: ClusterWorld): Promise<string[]> {
  const down = world.members.filter(({ served }) => served === undefined)
  if (down.length > 0) return [`${down.map(({ name }) => name).join()} does not serve`]
  const led = ledPartitions(world)
  if ('sentence' in led) return [led.sentence]
  const lacks = lacksOfMap(world)
  try {
    for (const partition of led.partitions)
      lacks.push(...(await lacksOfPartition(partition, world)))
  } catch (error) {
    lacks.push(String(error))
  }
  return lacks.length > 0 ? lacks : await lacksOfReplicas(world)
}

function ledPartitions({
  nodes,
  shape,
}: ClusterWorld): { partitions: MetadataPartition[] } | { sentence: string } {
  const partitions: MetadataPartition[] = []
  for (let id = 0; id < shape.metaPartitions; id += 1) {
    const leaders = nodes.flatMap(({ served }) => served?.metadata.led.find(id) ?? [])
    if (leaders.length !== 1) return { sentence: `partition ${id} has ${leaders.length} leaders` }
    partitions.push(leaders[0]!)
  }
  return { partitions }
}

function lacksOfMap({ gateways, nodes }: ClusterWorld): string[] {
  const { map } = gateways[0]!.coordinator!.state
  const out = map.drives.filter(({ state }) => state === 'out')
  if (out.length > 0) return [`drives ${out.map(({ id }) => id).join()} are out`]
  const behind = nodes.filter(({ served }) => {
    const mine = served?.upkeep.progress()
    return mine === undefined || mine.unrepairableCount > 0
  })
  return behind.map(({ name }) => `${name} can not mend everything`)
}

async function lacksOfPartition(
  partition: MetadataPartition,
  world: ClusterWorld,
): Promise<string[]> {
  const lacks: string[] = []
  const owed = await partition.owedBlobs(10)
  if (owed.length > 0) lacks.push(`partition ${partition.id} owes ${owed.length} blobs`)
  const due = await partition.dueGarbage(Number.MAX_SAFE_INTEGER - 1, 10)
  if (due.length > 0) lacks.push(`partition ${partition.id} has ${due.length} blobs of garbage`)
  if (lacks.length > 0) return lacks
  const { node } = world.gateways[0]!.served!.store
  const { map } = world.gateways[0]!.coordinator!.state
  const leaving = new Set(map.drives.flatMap(({ id, state }) => (state === 'draining' ? id : [])))
  for await (const blob of blobsOf(partition)) {
    lacks.push(...(await lacksOfBlob(blob, node)))
    const left = blob.drives.filter((id) => leaving.has(id))
    if (left.length > 0) lacks.push(`blob ${blob.uid} is on draining drives ${left.join()}`)
  }
  return lacks
}

/** Cells that are not as they were written, of all blobs that rows name now. Waits for nodes and leaders that are missed just now. */
export async function rotOf(world: ClusterWorld, time: SimTime): Promise<string[]> {
  const untilMs = time.nowMs + HEARD_WITHIN_MS
  for (;;) {
    try {
      return await rotFoundBy(world)
    } catch (error) {
      const isPassing = error instanceof DriveUnavailable || error instanceof MetadataUnavailable
      if (!isPassing || time.nowMs > untilMs) throw error
      await time.sleep(LOOK_MS)
    }
  }
}

async function rotFoundBy(world: ClusterWorld): Promise<string[]> {
  const { node } = world.gateways[0]!.served!.store
  const rot: string[] = []
  for (const partition of world.ledPartitions)
    for await (const blob of blobsOf(partition)) rot.push(...(await lacksOfBlob(blob, node)))
  return rot.filter((lack) => lack.includes('corrupt'))
}

async function lacksOfBlob(
  { uid, part, code, bytes, cellBytes, drives }: Blob,
  node: StorageNode,
): Promise<string[]> {
  const lacks: string[] = []
  const stripes = Math.ceil(bytes / (code.dataCount * cellBytes))
  const target = Buffer.alloc(cellBytes)
  if (drives.length !== shardCount(code)) lacks.push(`blob ${uid} has no place for each shard`)
  for (const [slot, driveId] of drives.entries()) {
    const opened = await node.openShard(driveId, { uid, part, slot })
    if (opened.kind !== 'found') {
      lacks.push(`shard ${slot} of blob ${uid} is ${opened.kind} on drive ${driveId}`)
      continue
    }
    for (let index = 0; index < stripes; index += 1) {
      const read = await opened.reader.readCell(index, target)
      if (read.kind !== 'found')
        lacks.push(`cell ${index} of shard ${slot} of ${uid}: ${read.kind}`)
    }
    await opened.reader.close()
  }
  return lacks
}

/** All replicas that count have the same rows. */
async function lacksOfReplicas({ nodes, shape }: ClusterWorld): Promise<string[]> {
  const lacks: string[] = []
  for (let id = 0; id < shape.metaPartitions; id += 1) {
    const seen = new Map<string, string[]>()
    const hosts = nodes.flatMap(({ served }) => served?.metadata.host ?? [])
    const decision = nodes[0]!.served!.metadata.decisions.get(id)
    if (decision === undefined || decision.previous !== undefined) {
      lacks.push(`the replicas of partition ${id} are being changed`)
      continue
    }
    for (const replica of decision.replicas) {
      const host = hosts.find((one) => one.lives(replica, id))
      const sum = host === undefined ? 'not there' : await sumOfRows(host, replica, id)
      seen.set(sum, [...(seen.get(sum) ?? []), replica])
    }
    if (seen.size > 1)
      lacks.push(`the replicas of partition ${id} differ: ${JSON.stringify([...seen])}`)
  }
  return lacks
}

async function sumOfRows(
  host: Pick<ReplicasOfNode, 'serveRows'>,
  replica: ReplicaId,
  partition: number,
): Promise<string> {
  const sum = createHash('md5')
  const { signal } = new AbortController()
  let at = 0
  for await (const { rows, position } of host.serveRows(replica, partition, signal)) {
    at = position.sequence
    for (const { key, value } of rows) sum.update(key).update(value)
  }
  return `${at} ${sum.digest('hex')}`
}
