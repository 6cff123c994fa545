// A simulated cluster: an etcd, nodes with drives, gateways, and the network between them, all from one seed.
import { MatrixId } from '../../../src/kit/erasure-code.ts'
import type { MetadataPartition } from '../../../src/metadata/contract.ts'
import type { ClusterState } from '../../../src/placement/coordinator.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { emptyClusterMap } from '../../../src/placement/first-map.ts'
import type { Seeded } from '../../support/seeded.ts'
import { SimulatedEtcd } from '../../support/simulated-etcd.ts'
import type { ServedStore, Serving } from '../clients.ts'
import { randomsFor } from '../randoms.ts'
import type { SimTime } from '../time.ts'
import { EtcdWays } from './etcd-way.ts'
import { NODES_MAX, SimGateway, SimNode, type Surroundings } from './members.ts'
import { SimNetwork } from './network.ts'
import { Witness } from './witness.ts'

/** How a cluster is made. */
export interface ClusterShape {
  nodes: number
  gateways: number
  code: { dataCount: number; parityCount: number }
  /** Drives are emptied although too few stay for the code. */
  narrows: boolean
  metaPartitions: number
  drivesPerNode: number
  /** Nodes are in so many zones in turn; 0: in none. */
  zones: number
  garbageGraceMs: number
}

export interface ClusterWorldParts {
  time: SimTime
  complain: (trouble: string) => void
  say: (line: string) => void
}

/** Of a cluster in which nothing is broken yet. */
const BEGUN_WITHIN_MS = 120_000

const EPOCH_MS = 1_700_000_000_000

/** The cluster. */
export class ClusterWorld implements ServedStore {
  readonly shape: ClusterShape
  readonly time: SimTime
  readonly etcd: SimulatedEtcd
  readonly etcdWays: EtcdWays
  readonly network: SimNetwork
  readonly nodes: SimNode[]
  readonly gateways: SimGateway[]
  readonly witness: Witness
  readonly #seed: number
  readonly #chance: Seeded
  readonly #around: Surroundings
  /** Nodes so far: a number is never given again. */
  #nodesMade = 0

  constructor(seed: number, shape: ClusterShape, { time, complain, say }: ClusterWorldParts) {
    this.#seed = seed
    this.shape = shape
    this.time = time
    const clock = { monotonicMs: () => time.nowMs, sleep: (ms: number) => time.sleep(ms) }
    this.etcd = new SimulatedEtcd(clock)
    this.etcdWays = new EtcdWays(this.etcd, time, randomsFor(seed, 'ways to etcd'))
    this.network = new SimNetwork(time, randomsFor(seed, 'network'))
    this.#chance = randomsFor(seed, 'which gateway')
    this.witness = new Witness(complain)
    const around: Surroundings = {
      ...{ seed, time, network: this.network, etcd: this.etcdWays, complain, say },
      random: randomsFor(seed, 'crashes'),
      garbageGraceMs: shape.garbageGraceMs,
      opened: (coordinator, process, name) => this.witness.watchState(coordinator, process, name),
      serving: (node, name, process) => this.witness.watchReigns(node, name, process),
    }
    this.#around = around
    this.nodes = upTo(shape.nodes).map((number) => this.#makeNode(number))
    this.gateways = upTo(shape.gateways).map((number) => new SimGateway(number, around))
  }

  /** Resolves when the cluster serves. */
  async begin(): Promise<void> {
    await this.#create()
    for (const node of this.nodes) await node.begin()
    for (const gateway of this.gateways) await gateway.begin()
    while (this.gateways.some(({ served }) => served === undefined)) {
      await this.time.sleep(500)
      if (this.time.nowMs > BEGUN_WITHIN_MS) throw new Error('the cluster does not begin to serve')
    }
  }

  /** One node more; it joins by itself. Undefined when there were enough. */
  async addNode(): Promise<SimNode | undefined> {
    if (this.#nodesMade === NODES_MAX - 1) return undefined
    const node = this.#makeNode(this.#nodesMade + 1)
    this.nodes.push(node)
    await node.begin()
    return node
  }

  /** A node that the cluster has no more is switched off. */
  async retire(node: SimNode): Promise<void> {
    this.nodes.splice(this.nodes.indexOf(node), 1)
    await node.stop()
  }

  /** Of many gateways clients do not know which. */
  readonly serving: undefined

  /** One of the gateways that serve, as a balancer chooses it. */
  async served(): Promise<Serving> {
    for (;;) {
      const up = this.gateways.filter(({ served }) => served !== undefined)
      if (up.length > 0) return servingOf(this.#chance.pick(up))!
      await this.time.sleep(100)
    }
  }

  /** Resolves when every gateway knows so many buckets. */
  async knowBuckets(count: number): Promise<void> {
    const known = ({ coordinator }: SimGateway): number =>
      Object.keys(coordinator?.state.buckets ?? {}).length
    while (this.gateways.some((gateway) => known(gateway) < count)) await this.time.sleep(100)
  }

  /** The metadata partitions, where they are led now; without those that nobody leads. */
  get ledPartitions(): MetadataPartition[] {
    return upTo(this.shape.metaPartitions).flatMap((number) => {
      const led = this.nodes.flatMap(({ served }) => served?.metadata.led.find(number - 1) ?? [])
      return led.slice(0, 1)
    })
  }

  get members(): (SimNode | SimGateway)[] {
    return [...this.nodes, ...this.gateways]
  }

  #makeNode(number: number): SimNode {
    const { drivesPerNode: driveCount, zones } = this.shape
    this.#nodesMade = number
    return new SimNode(number, { driveCount, zones }, this.#around)
  }

  async #create(): Promise<void> {
    const random = randomsFor(this.#seed, 'made')
    const world = {
      random: { bytes: (count: number) => random.bytes(count) },
      clock: {
        now: () => EPOCH_MS,
        monotonicMs: () => this.time.nowMs,
        sleep: (ms: number) => this.time.sleep(ms),
      },
      http: this.etcd.http,
    }
    const etcd = new EtcdClient({ endpoints: ['http://etcd:2379'] }, world)
    // No disk is used to make it.
    const parts = { etcd, world } as unknown as Parameters<typeof EtcdCoordinator.create>[1]
    await EtcdCoordinator.create(this.#firstState(random), parts)
  }

  #firstState(random: Seeded): Omit<ClusterState, 'epoch'> {
    const { nodes, code, metaPartitions } = this.shape
    const counts = { partitionCount: 4 * metaPartitions, metaPartitionCount: metaPartitions }
    return {
      clusterId: random.bytes(16).toString('hex'),
      map: emptyClusterMap('42', counts),
      metaPartitions: [],
      buckets: {},
      nextBucketId: 1,
      nextDriveId: 1,
      cluster: {
        nodesExpected: nodes,
        code: { ...code, matrix: MatrixId.CentredVandermonde },
        secret: random.bytes(32).toString('hex'),
        allowsUnsafeLayout: true,
      },
    }
  }
}

/** What clients see of a gateway, while it serves. */
export function servingOf({ served, process }: SimGateway): Serving | undefined {
  return served && process && { objects: served.store.objects, process }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1)
}
