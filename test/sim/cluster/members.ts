// The processes of a simulated cluster: nodes with their drives and gateways, as they are shipped but for their sockets.
// Each has a machine of its own, is killed and started again, and remembers what was on its disks.

import { openClusterApi } from '../../../src/cluster/cluster-status.ts'
import type { NodeTuning } from '../../../src/cluster/node-tuning.ts'
import { runGateway } from '../../../src/cluster/run-gateway.ts'
import { type RunNodeOptions, type RunningNode, runNode } from '../../../src/cluster/run-node.ts'
import type { ClusterApi } from '../../../src/gateway/cluster-api.ts'
import { mebibytes } from '../../../src/kit/bytes.ts'
import { ClosingStack } from '../../../src/kit/closing-stack.ts'
import type { Log } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import type { World } from '../../../src/kit/world.ts'
import { USUAL_LIMITS } from '../../../src/metadata/replication/effects.ts'
import { EtcdCoordinator } from '../../../src/placement/coordinator-etcd.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { type KnownCopy, readKnownCopy } from '../../../src/placement/etcd/known-copy.ts'
import type { Seeded } from '../../support/seeded.ts'
import { type Cruelty, EVERYTHING, SimMachine, type SimProcess } from '../machine.ts'
import { randomsFor } from '../randoms.ts'
import { SimDrive } from '../sim-drive.ts'
import type { SimTime } from '../time.ts'
import type { EtcdWays } from './etcd-way.ts'
import type { SimNetwork } from './network.ts'
import { SimPeers } from './peers.ts'

/** What all members share. */
export interface Surroundings {
  seed: number
  time: SimTime
  network: SimNetwork
  etcd: EtcdWays
  random: Seeded
  say: (line: string) => void
  complain: (trouble: string) => void
  garbageGraceMs: number
  /** Hears of every coordinator that a process has opened, and of every node that serves. */
  opened: (coordinator: EtcdCoordinator, process: SimProcess, member: string) => void
  serving: (node: RunningNode, name: string, process: SimProcess) => void
}

/** A gateway that serves: `api` is what its root can ask of it. */
type Gateway = Awaited<ReturnType<typeof runGateway>> & { api: ClusterApi }

const ENDPOINT = 'http://etcd:2379'
const KIBIBYTE = 1024
/** Ids of the drives that hold states of processes are out of the way of those that hold data. */
const STATE_DRIVE = 100
/** Drives of one node are so far from each other in number. */
export const NODES_MAX = 10
const REREAD_MS = 10_000
const STARTS_AGAIN_MS = 1_000

/** Small files and short times, so that little work crosses every seam. */
const TUNING: NodeTuning = {
  space: { ballastBytes: 0 },
  shards: {
    segmentShardBytes: 48 * KIBIBYTE,
    segmentBytes: 256 * KIBIBYTE,
    bufferBytes: 1024 * KIBIBYTE,
  },
  replicas: {
    fileBytes: 16 * KIBIBYTE,
    retainBytes: 64 * KIBIBYTE,
    protocol: { ...USUAL_LIMITS, retainBytes: 16 * KIBIBYTE, retainEntries: 64 },
    markerBytes: 16 * KIBIBYTE,
    markerTicks: 8,
    retireTicks: 60,
  },
  steward: { outDelayMs: 20_000 },
  // Clocks of two members are up to 200 s apart, and what is written is committed within half a minute.
  orphans: { blobAgeMsMax: 300_000, periodMs: 15_000 },
  care: { limits: { sharedFactor: 1 }, everyMs: 1_000 },
  poolBytes: mebibytes(3),
}

const HEALING = { outDelayMs: 4_000, againMs: 5_000, urgentDelayMs: 0 }

/** One life of a member. */
interface Life<Served> {
  process: SimProcess
  coordinator: EtcdCoordinator
  served: Served
  opened: ClosingStack
}

/** What nodes and gateways have in common. */
abstract class Member<Served> {
  readonly name: string
  readonly machine: SimMachine
  protected readonly around: Surroundings
  readonly #stateDrive: SimDrive
  /** The process that starts or serves. */
  process: SimProcess | undefined
  #life: Life<Served> | undefined
  #lives = 0
  /** It is not started again meanwhile. */
  #isHeld = false
  /** Its disks are as a crash leaves them once this is 0. */
  #crashes = 0
  #running: Promise<void> = Promise.resolve()
  /** It starts, or rests before it starts again: a machine never runs it twice. */
  #isStarting = false

  constructor(name: string, number: number, drives: SimDrive[], around: Surroundings) {
    this.name = name
    this.around = around
    this.#stateDrive = new SimDrive(STATE_DRIVE + number)
    const seed = around.seed * 64 + number
    const { time } = around
    const latencies = { usual: 0.1, sync: 2, slowOneIn: 50 }
    const say = (line: string): void => around.say(`${name} ${line}`)
    this.machine = new SimMachine(seed, {
      ...{ time, latencies, say },
      drives: [...drives, this.#stateDrive],
    })
    const chance = randomsFor(seed, 'clocks')
    this.machine.clockOffsetMs = chance.pick([0, 0, 700, -700, 100_000, -100_000])
    const speed = chance.pick([1, 1, 0.999, 1.001])
    this.machine.monotonic = { offsetMs: chance.below(1_000_000), speed }
  }

  /** What serves now. */
  get served(): Served | undefined {
    return this.#life?.served
  }

  /** What it knows of etcd, while it serves. */
  get coordinator(): EtcdCoordinator | undefined {
    return this.#life?.coordinator
  }

  /** What its disk remembers of etcd, whether it runs or not. */
  known(): Promise<KnownCopy> {
    const { disk, path } = this.#stateDrive
    return readKnownCopy({ disk }, path)
  }

  get isUp(): boolean {
    return this.process?.isAlive === true
  }

  /** Makes its disks; then it runs, and is started again whenever it ends. */
  async begin(): Promise<void> {
    for (const drive of this.machine.drives) await drive.mount()
    this.start()
  }

  /** Starts it, unless it runs. */
  start(): void {
    this.#isHeld = false
    if (!this.isUp && !this.#isStarting && this.#crashes === 0) this.#running = this.#run()
  }

  /** It ends here and now: of what was not synced that is left which `cruelty` leaves. */
  async kill(cruelty: Cruelty): Promise<void> {
    this.#isHeld = true
    this.#life = undefined
    this.process?.end()
    this.#crashes += 1
    await this.#running
    await this.machine.crash(cruelty, this.around.random)
    this.#crashes -= 1
    // Somebody started it meanwhile.
    if (!this.#isHeld) this.start()
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    this.#isHeld = true
    const life = this.#life
    this.#life = undefined
    if (life !== undefined)
      await Promise.race([life.opened.close().catch(() => {}), life.process.ended])
    await this.kill(EVERYTHING)
  }

  /** What one life does until it serves. */
  protected abstract open(
    coordinator: EtcdCoordinator,
    parts: MemberParts,
    opened: ClosingStack,
  ): Promise<Served>

  async #run(): Promise<void> {
    this.#isStarting = true
    try {
      await this.#startUntilServed()
    } finally {
      this.#isStarting = false
    }
  }

  async #startUntilServed(): Promise<void> {
    while (!this.#isHeld && this.#crashes === 0) {
      this.#lives += 1
      const process = this.machine.startProcess(this.#lives)
      this.process = process
      this.machine.say(`process ${this.#lives} starts`)
      try {
        const life = await Promise.race([this.#live(process), process.ended])
        if (!life) return
        this.#life = life
        this.machine.say(`process ${this.#lives} serves`)
        return
      } catch (error) {
        if (!process.isAlive) return
        this.machine.say(`it does not start: ${String(error)}`)
        if (isFault(error)) this.around.complain(`${this.name} does not start: ${stackOf(error)}`)
        process.end()
        await this.machine.crash(EVERYTHING, this.around.random)
        await this.around.time.sleep(STARTS_AGAIN_MS)
      }
    }
  }

  async #live(process: SimProcess): Promise<Life<Served>> {
    const opened = new ClosingStack()
    return await opened.guard(async () => {
      const world = {
        ...process.world,
        http: this.around.etcd.httpOf({ machine: this.name, process }),
      }
      const log = this.#log(process)
      const etcd = new EtcdClient({ endpoints: [ENDPOINT] }, world)
      const options = { directory: this.#stateDrive.path, rereadMs: REREAD_MS }
      const coordinator = await EtcdCoordinator.open(options, { world, log, etcd })
      opened.defer(() => coordinator.close())
      this.around.opened(coordinator, process, this.name)
      const served = await this.open(coordinator, { world, log, process }, opened)
      return { process, coordinator, served, opened }
    })
  }

  #log(process: SimProcess): Log {
    const say = (level: string) => (data: object, sentence: string) => {
      if (!process.isAlive) return
      const text = `${level}: ${sentence} ${describe(data)}`
      this.machine.say(text)
      if (/AssertionFailed|TypeError|RangeError|ReferenceError/.test(text))
        this.around.complain(`${this.name}: ${text}`)
    }
    const log: Log = {
      debug: () => {},
      info: say('info'),
      warn: say('warn'),
      error: say('error'),
      child: () => log,
    }
    return log
  }
}

interface MemberParts {
  world: World
  log: Log
  process: SimProcess
}

/** A storage node. */
export class SimNode extends Member<RunningNode> {
  readonly id: string
  readonly number: number
  readonly zone: string | undefined
  /** Those that are gone for good are in it still. */
  readonly drives: SimDrive[]

  /** `number` from 1. */
  constructor(
    number: number,
    { driveCount, zones }: { driveCount: number; zones: number },
    around: Surroundings,
  ) {
    const drives = Array.from(
      { length: driveCount },
      (_, index) => new SimDrive(driveIdOf(number, index)),
    )
    super(`n${number}`, number, drives, around)
    this.drives = [...drives]
    this.number = number
    this.id = number.toString(16).padStart(16, '0')
    this.zone = zones === 0 ? undefined : `z${number % zones}`
  }

  /** An empty disk is built in: its next start names the directory, and before that somebody may add it. */
  async buildIn(): Promise<SimDrive> {
    const drive = new SimDrive(driveIdOf(this.number, this.drives.length))
    this.drives.push(drive)
    this.machine.addDrive(drive)
    await drive.mount()
    return drive
  }

  protected async open(
    coordinator: EtcdCoordinator,
    { world, log, process }: MemberParts,
    opened: ClosingStack,
  ): Promise<RunningNode> {
    const { network, garbageGraceMs, serving } = this.around
    const end = { machine: this.name, process }
    const options: RunNodeOptions = {
      directories: this.drives.flatMap(({ path, isGone }) => (isGone ? [] : path)),
      zone: this.zone,
      ...{ garbageGraceMs, mendDelayMs: 0, scrubPeriodMs: 3_600_000, healing: HEALING },
    }
    const running = await runNode(
      options,
      {
        ...{ world, log, coordinator, nodeId: this.id, registry: new Registry() },
        tuning: { ...TUNING, openLevel: process.openLevel },
        openPeers: () => new SimPeers(end, network),
        listen: async (service) => {
          network.listen(this.id, { ...end, service })
          return `http://${this.name}`
        },
      },
      opened,
    )
    serving(running, this.name, process)
    return running
  }
}

/** A gateway. */
export class SimGateway extends Member<Gateway> {
  constructor(number: number, around: Surroundings) {
    super(`g${number}`, 32 + number, [], around)
  }

  protected async open(
    coordinator: EtcdCoordinator,
    { world, log, process }: MemberParts,
    opened: ClosingStack,
  ): Promise<Gateway> {
    const { network } = this.around
    const running = await runGateway(
      { buckets: [], region: 'us-east-1', abandonedUploadMs: undefined },
      {
        ...{ world, log, coordinator, registry: new Registry(), poolBytes: mebibytes(3) },
        openPeers: () => new SimPeers({ machine: this.name, process }, network),
      },
      opened,
    )
    const parts = { ...running, world, log, coordinator, reducedCode: undefined }
    return { ...running, api: openClusterApi(parts) }
  }
}

/** Which disk it is, of those of its node. */
function driveIdOf(node: number, index: number): number {
  return node + index * NODES_MAX
}

/** A random that no two members share, from the seed of all. */
export function randomOf(around: Pick<Surroundings, 'seed'>, purpose: string): Seeded {
  return randomsFor(around.seed, purpose)
}

function isFault(error: unknown): boolean {
  if (!(error instanceof Error)) return true
  return [
    'AssertionFailed',
    'AssertionError',
    'TypeError',
    'RangeError',
    'ReferenceError',
  ].includes(error.name)
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function describe(data: object): string {
  return JSON.stringify(data, (_, value) => (value instanceof Error ? String(value) : value))
}
