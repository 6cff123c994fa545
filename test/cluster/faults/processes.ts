// A cluster of real processes, each on a machine of its own: etcd, nodes and gateways, ended and started again as a test wants.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PROGRAM, ROOT_KEYS, runProgram } from '../../support/run-program.ts'
import { TEST_KEYS } from '../../support/server.ts'
import type { Network } from './network.ts'

/** How many of each. */
export interface ClusterSize {
  nodes: number
  gateways: number
}

const PORTS = { etcd: 2379, peer: 2380, node: 9100, nodeAdmin: 9101, s3: 9000, gatewayAdmin: 9001 }
const ETCD = 'etcd'
const POLL_MS = 100
const ETCD_IS_LATE = /etcd.* does not answer/

/** Of a cluster that is made. */
const NEW_ROOT_KEYS = {
  KINTSUGI_ROOT_ACCESS_KEY_ID: TEST_KEYS.accessKeyId,
  KINTSUGI_ROOT_SECRET_ACCESS_KEY: TEST_KEYS.secretAccessKey,
}

/** A machine that does much else takes its time; nothing is wrong before that is over. */
const PATIENCE_MS = 240_000

/** The names of the machines that a cluster takes. */
export function machinesOf({ nodes, gateways }: ClusterSize): string[] {
  return [ETCD, ...named('node', nodes), ...named('gateway', gateways)]
}

/** Processes by the names of their machines. */
export class ClusterProcesses {
  readonly nodes: readonly string[]
  readonly gateways: readonly string[]
  readonly etcd = ETCD
  readonly #directory: string
  readonly #network: Network
  readonly #running = new Map<string, ChildProcess>()

  private constructor(size: ClusterSize, directory: string, network: Network) {
    this.nodes = named('node', size.nodes)
    this.gateways = named('gateway', size.gateways)
    this.#directory = directory
    this.#network = network
  }

  /** Makes one in `directory`. Resolves when every process is ready. */
  static async start(
    size: ClusterSize,
    directory: string,
    network: Network,
  ): Promise<ClusterProcesses> {
    const cluster = new ClusterProcesses(size, directory, network)
    await cluster.start(ETCD)
    const made = await cluster.#ask<{ tokens: string[] }>([
      ...['cluster', 'init', '--etcd', cluster.etcdUrl, '--nodes', String(size.nodes)],
    ])
    for (const [at, name] of cluster.nodes.entries()) {
      await cluster.#ask([
        'node',
        'join',
        made.tokens[at]!,
        '--state',
        cluster.#path(name, 'state'),
      ])
      cluster.#spawn(name)
    }
    for (const name of cluster.gateways) cluster.#spawn(name)
    for (const name of [...cluster.nodes, ...cluster.gateways]) await cluster.ready(name)
    return cluster
  }

  /** Where S3 is spoken. */
  get endpoints(): string[] {
    return this.gateways.map((name) => `http://${this.#network.addressOf(name)}:${PORTS.s3}`)
  }

  get etcdUrl(): string {
    return `http://${this.#network.addressOf(ETCD)}:${PORTS.etcd}`
  }

  /** The directory that a node has for its drive. */
  driveOf(node: string): string {
    return this.#path(node, 'drive')
  }

  /** Starts a process that does not run, and waits until it is ready. */
  async start(name: string): Promise<void> {
    this.#spawn(name)
    await this.ready(name)
  }

  /** Sends a signal. */
  signal(name: string, signal: NodeJS.Signals): void {
    if (!this.#of(name).kill(signal)) throw new Error(`${name} does not run`)
  }

  /** Ends a process by a signal, and waits for that. A node or gateway that is asked to has to close cleanly, and say so. */
  async end(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#of(name)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    this.signal(name, signal)
    await ended
    this.#running.delete(name)
    if (signal !== 'SIGTERM' || name === ETCD) return
    if (child.exitCode !== 0 || !this.#said(name).includes('is closed')) {
      throw new Error(`${name} did not close cleanly (${child.exitCode}): ${this.#said(name)}`)
    }
  }

  /** Waits until a process says that it is ready. Rejects when one ended that nobody ended. */
  async ready(name: string): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS
    while (!(await answers(this.#healthOf(name)))) {
      for (const [one, child] of this.#running) if (hasEnded(child)) this.#startAgain(one, child)
      if (performance.now() > untilMs) {
        throw new Error(`${name} is not ready, and said ${this.#said(name)}`)
      }
      await sleep(POLL_MS)
    }
  }

  /** What a gateway says of the whole. */
  status(): Promise<Record<string, unknown>> {
    return this.#ask(['status', '--endpoint', this.endpoints[0]!])
  }

  /** As systemd does: where a machine is slow, etcd may not answer in the time that a start has for it. */
  #startAgain(name: string, { exitCode, signalCode }: ChildProcess): void {
    const said = this.#said(name)
    if (exitCode !== 1 || !ETCD_IS_LATE.test(said)) {
      throw new Error(`${name} ended (${exitCode ?? signalCode}), and said ${said}`)
    }
    this.#spawn(name)
  }

  #of(name: string): ChildProcess {
    const child = this.#running.get(name)
    if (child === undefined) throw new Error(`${name} was not started`)
    return child
  }

  #spawn(name: string): void {
    mkdirSync(this.#path(name), { recursive: true })
    const log = openSync(this.#path(`${name}.log`), 'a')
    const [program, ...words] = this.#network.wordsFor(name, this.#wordsOf(name))
    const child = spawn(program!, words, {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#running.set(name, child)
  }

  #wordsOf(name: string): string[] {
    const address = this.#network.addressOf(name)
    if (name === ETCD) return ['etcd', ...etcdFlags(address, this.#path(name))]
    const state = this.#path(name, 'state')
    const kintsugi = [process.execPath, PROGRAM]
    if (this.nodes.includes(name)) {
      return [
        ...[...kintsugi, 'node', this.driveOf(name), '--state', state],
        ...['--listen', `${address}:${PORTS.node}`, '--admin-address', address],
      ]
    }
    mkdirSync(state, { recursive: true })
    return [
      ...[...kintsugi, 'gateway', '--etcd', this.etcdUrl, '--state', state],
      ...['--address', address, '--admin-address', address],
    ]
  }

  #healthOf(name: string): string {
    const address = this.#network.addressOf(name)
    if (name === ETCD) return `${this.etcdUrl}/health`
    const port = this.nodes.includes(name) ? PORTS.nodeAdmin : PORTS.gatewayAdmin
    return `http://${address}:${port}/health/ready`
  }

  #said(name: string): string {
    return readFileSync(this.#path(`${name}.log`), 'utf8')
      .split('\n')
      .slice(-8)
      .join('\n')
  }

  #path(...names: string[]): string {
    return join(this.#directory, ...names)
  }

  /** A command that answers with JSON. Asked again while etcd is late. */
  async #ask<Answer>(words: readonly string[]): Promise<Answer> {
    const untilMs = performance.now() + PATIENCE_MS
    for (;;) {
      const environment = { ...ROOT_KEYS, ...NEW_ROOT_KEYS }
      const { code, stdout, stderr } = await runProgram([...words, '--json'], { environment })
      if (code === 0) return JSON.parse(stdout) as Answer
      if (!ETCD_IS_LATE.test(stderr) || performance.now() > untilMs) {
        throw new Error(`kintsugi ${words.join(' ')} ended with ${code}: ${stderr}`)
      }
      await sleep(1_000)
    }
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

function named(kind: string, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `${kind}-${at + 1}`)
}

function etcdFlags(address: string, directory: string): string[] {
  const client = `http://${address}:${PORTS.etcd}`
  const peer = `http://${address}:${PORTS.peer}`
  return [
    ...['--name', 'one', '--data-dir', directory, '--logger', 'zap', '--log-outputs', 'stderr'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `one=${peer}`],
  ]
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(5_000) })).ok
  } catch {
    return false
  }
}
