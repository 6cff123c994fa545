// What other nodes know of etcd. A process that is new, or was not there for a while, can not tell by itself that etcd was restored from
// an older backup; those who were there can. So some of them are asked before anything is done by what etcd says, and then now and then.
import { asBuffer } from '../kit/bytes.ts'
import type { Log } from '../kit/log.ts'
import { type Periodic, repeat } from '../kit/periodic.ts'
import type { World } from '../kit/world.ts'
import type { EtcdMirror } from '../placement/etcd/mirror.ts'
import { askWhatItKnows } from '../storage-node/rpc/knowledge-messages.ts'
import type { NodePeers } from '../storage-node/rpc/peers.ts'

/** What asking needs. */
export interface HearsayParts {
  world: Pick<World, 'clock' | 'random'>
  log: Log
  /** Ids of all other nodes. */
  nodes(): readonly string[]
  peers: Pick<NodePeers, 'ask'>
  mirror: Pick<EtcdMirror, 'hear'>
}

const EVERY_MS = 30_000

/** Who does not answer in this time knows nothing for now. */
const DEADLINE_MS = 2_000

/** So many are asked at a time, drawn by chance: in a cluster of a thousand nodes all are heard in a while. */
const ASKED_MAX = 8

/** Asks from time to time, until it is stopped. */
export class Hearsay {
  readonly #parts: HearsayParts
  readonly #asking: Periodic

  constructor(parts: HearsayParts) {
    this.#parts = parts
    const { world, log } = parts
    this.#asking = repeat('hearsay', EVERY_MS, () => this.look(), { clock: world.clock, log })
  }

  async stop(): Promise<void> {
    await this.#asking.stop()
  }

  /** Asks some nodes once. When it resolves, etcd is not believed if they know more than it has (the standing of the mirror). */
  async look(): Promise<void> {
    await Promise.all(this.#draw().map((nodeId) => ask(nodeId, this.#parts)))
  }

  #draw(): string[] {
    const { random } = this.#parts.world
    const left = [...this.#parts.nodes()]
    const drawn: string[] = []
    while (left.length > 0 && drawn.length < ASKED_MAX) {
      const at = asBuffer(random.bytes(4)).readUInt32LE(0) % left.length
      drawn.push(...left.splice(at, 1))
    }
    return drawn
  }
}

/** Asks all nodes once, for a command that remembers nothing itself: as Hearsay.look() does. */
export async function hearEveryone(
  parts: Pick<HearsayParts, 'world' | 'nodes' | 'peers' | 'mirror'>,
): Promise<void> {
  await Promise.all(parts.nodes().map((nodeId) => ask(nodeId, parts)))
}

async function ask(
  nodeId: string,
  { world, peers, mirror }: Pick<HearsayParts, 'world' | 'peers' | 'mirror'>,
): Promise<void> {
  const deadlineMs = world.clock.monotonicMs() + DEADLINE_MS
  // Who does not answer is another's business (node-pulse.ts).
  const known = await askWhatItKnows(nodeId, { peers, deadlineMs }).catch(() => undefined)
  if (known !== undefined) await mirror.hear(known, `node ${nodeId}`)
}
