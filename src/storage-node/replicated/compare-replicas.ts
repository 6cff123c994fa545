// Compares the rows of all replicas of a partition that is led here, each as of the same position, and lets those be made
// anew that are not as most of the others: LevelDB may lose rows without a word (docs/decisions/0001-metadata-in-leveldb-behind-a-log.md).
import { asBuffer } from '../../kit/bytes.ts'
import type { Log } from '../../kit/log.ts'
import type { World } from '../../kit/world.ts'
import type { Decision, ReplicaId } from '../../metadata/replication/decision.ts'
import type { Decisions } from './contract.ts'
import type { ReplicaHost } from './replica-host.ts'
import type { RenewalState } from './row-jobs.ts'
import type { DigestState } from './rows-digest.ts'

/** What other hosts are asked. */
export interface RowsTransport {
  /** `ask`: a number that the asker draws by chance for each digest. */
  digest(
    replica: ReplicaId,
    request: { ask: number; partition: number; sequence: number },
  ): Promise<DigestState>
  renew(replica: ReplicaId, partition: number, source: ReplicaId): Promise<RenewalState>
}

/** The replicas here, and the way to those of other nodes. `random` draws the number of each digest. */
export interface CompareParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  decisions: Pick<Decisions, 'get'>
  host: Pick<ReplicaHost, 'replicas' | 'lives' | 'startDigest' | 'suspect'>
  transport: RowsTransport
}

/** What a comparison gave. Damaged ones were mended, or somebody else leads and mends them. */
export interface Compared {
  replicas: number
  damaged: number
}

type Digest = Extract<DigestState, { kind: 'digest' | 'rotten' }>

interface Round {
  partition: number
  self: ReplicaId
  decision: Decision
  signal: AbortSignal
}

// How far ahead of the rows the common position is: while much is written, all have passed a near one when they hear of it.
const AHEAD = [0, 0, 16, 256, 4096, 0, 1024, 16_384]

// Replicas come to the position in so short a time, or another one is tried.
const REACH_MS = 5_000
const ASK_EVERY_MS = 100
const DIGEST_MS_MAX = 30 * 60_000
const RENEW_MS_MAX = 60 * 60_000

/** Compares one partition. Throws when that can not be done now: nothing is known then. Undefined for one that is not led here. */
export async function compareReplicas(
  partition: number,
  signal: AbortSignal,
  parts: CompareParts,
): Promise<Compared | undefined> {
  const self = parts.host.replicas().find((one) => one.partition === partition && one.isServing)
  const decision = parts.decisions.get(partition)
  if (self === undefined || decision?.primary !== self.replica) return undefined
  const round = { partition, self: self.replica, decision, signal }
  const found = await digestAll(round, parts)
  return await judge(found, round, parts)
}

async function digestAll(round: Round, parts: CompareParts): Promise<Map<ReplicaId, Digest>> {
  for (const ahead of AHEAD) {
    round.signal.throwIfAborted()
    const found = await digestAt(ahead, round, parts)
    if (found !== undefined) return found
  }
  throw new Error(`the replicas of partition ${round.partition} do not hold still`)
}

/** Undefined when some of them did not meet at the position. */
async function digestAt(
  ahead: number,
  { partition, self, decision, signal }: Round,
  parts: CompareParts,
): Promise<Map<ReplicaId, Digest> | undefined> {
  const { world, host, transport } = parts
  const own = host.replicas().find(({ replica }) => replica === self)
  if (own === undefined) throw new Error(`partition ${partition} is not led here any more`)
  const sequence = own.applied + ahead
  const ask = asBuffer(world.random.bytes(6)).readUIntLE(0, 6)
  const ending = new AbortController()
  const job = host.startDigest(self, partition, {
    sequence,
    signal: AbortSignal.any([signal, ending.signal]),
  })
  const beganMs = world.clock.monotonicMs()
  const ended = new Map<ReplicaId, DigestState>()
  const stateOf = async (id: ReplicaId): Promise<DigestState> => {
    const known = ended.get(id)
    if (known !== undefined) return known
    const state = id === self ? job.state : await transport.digest(id, { ask, partition, sequence })
    if (state.kind !== 'waiting' && state.kind !== 'reading') ended.set(id, state)
    return state
  }
  try {
    for (;;) {
      const states = await Promise.all(decision.replicas.map(stateOf))
      const kinds = new Set(states.map(({ kind }) => kind))
      const tookMs = world.clock.monotonicMs() - beganMs
      if (kinds.has('passed') || (kinds.has('waiting') && tookMs > REACH_MS)) return undefined
      if (!kinds.has('waiting') && !kinds.has('reading'))
        return new Map(decision.replicas.map((id, at) => [id, states[at] as Digest]))
      if (tookMs > DIGEST_MS_MAX) throw new Error('a digest of rows takes too long')
      await world.clock.sleep(ASK_EVERY_MS, signal)
    }
  } finally {
    ending.abort(new Error('the digest is not needed any more'))
  }
}

/** The rows that most replicas have are right. Where there is no majority nobody is judged by others. */
async function judge(
  found: ReadonlyMap<ReplicaId, Digest>,
  round: Round,
  parts: CompareParts,
): Promise<Compared> {
  const { partition, self } = round
  const { log, host } = parts
  const names = new Map([...found].map(([id, digest]) => [id, nameOf(digest)]))
  const right = majorityOf([...names.values()])
  const rotten = [...found].filter(([, { kind }]) => kind === 'rotten').map(([id]) => id)
  const differing = [...names].filter(([, name]) => name !== right).map(([id]) => id)
  const damaged = new Set([...rotten, ...(right === undefined ? [] : differing)])
  const replicas = found.size
  if (damaged.size > 0 || right === undefined) {
    const digests = Object.fromEntries(names)
    log.error({ partition, digests }, 'replicas of metadata are not the same')
  }
  if (damaged.has(self)) host.suspect(self, partition, rotten.includes(self) ? 'rotten' : 'differs')
  else if (right === undefined) throw new Error(`nobody knows which rows of ${partition} are right`)
  else for (const id of damaged) await renew(id, round, parts)
  return { replicas, damaged: damaged.size }
}

function nameOf(digest: Digest): string {
  return digest.kind === 'rotten' ? 'rotten' : `${digest.rows} rows, ${digest.digest}`
}

/** Undefined when no digest is that of more than half of them. */
function majorityOf(names: readonly string[]): string | undefined {
  const digests = names.filter((name) => name !== 'rotten')
  return digests.find((name) => digests.filter((one) => one === name).length * 2 > names.length)
}

async function renew(
  id: ReplicaId,
  { partition, self, signal }: Round,
  { world, transport }: CompareParts,
): Promise<void> {
  const endMs = world.clock.monotonicMs() + RENEW_MS_MAX
  while (world.clock.monotonicMs() < endMs) {
    const state = await transport.renew(id, partition, self)
    if (state === 'done') return
    if (state === 'failed') throw new Error(`the rows of replica ${id} could not be made anew`)
    await world.clock.sleep(ASK_EVERY_MS, signal)
  }
  throw new Error(`making the rows of replica ${id} anew takes too long`)
}
