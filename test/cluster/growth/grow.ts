// A cluster that grows, loses a node on purpose, a drive and a node by accident, under a load of boto3 clients whose history is
// checked; and what that moved. The processes are those of deploy/dev-cluster.
import { rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DriveList } from '../../../src/gateway/admin-api.ts'
import type { MapView } from '../../../src/gateway/cluster-api.ts'
import type { DevCluster, Remembered } from '../../support/dev-cluster.ts'
import { type Ended, runProgram } from '../../support/run-program.ts'
import { S3Client } from '../../support/s3.ts'
import { type Judgement, judge } from '../faults/history.ts'
import { BUCKET, Load } from '../faults/load.ts'
import { type Counts, countBytes, countedSince, leastShare, type StepFigures } from './figures.ts'

/** What is done. */
export interface GrowOptions {
  clients: number
  pauseSeconds: number
  seed: string
  /** With a drive that is replaced and a node that comes for the one that was lost: some minutes more. */
  isLong: boolean
  /** Sizes of what is there before all else, in bytes. */
  library: readonly number[]
}

/** What came of it. */
export interface GrowReport extends Judgement {
  steps: StepFigures[]
  /** Requests that boto3 asked again, with success. */
  cured: number
  /** Those that failed for good. */
  failed: string[]
  /** How a removed node ended that was started again. */
  removedNode: Ended
}

const POLL_MS = 500
const PATIENCE_MS = 600_000
const PATIENCE = ['--timeout', String(PATIENCE_MS / 1000)]

/** Does it all. `say` hears of each step. */
export async function grow(
  dev: DevCluster,
  options: GrowOptions,
  say: (line: string) => void,
): Promise<GrowReport> {
  const { gateways } = await dev.up()
  const load = await Load.start({
    ...{ ...options, endpoints: gateways, retries: true },
    file: join(dev.directory, 'requests.jsonl'),
  })
  await load.succeeds()
  const growing = new Growing(dev, gateways[0]!, say)
  await growing.step('two nodes are added', async () => {
    await dev.addNode()
    await dev.addNode()
    await growing.settled()
  })
  const [, first, second, third] = (await dev.remembered()).nodes
  await growing.step('a node is drained', () =>
    growing.ask('drain', first!.id, '--wait', ...PATIENCE),
  )
  await growing.ask('node', 'remove', first!.id)
  await dev.forget(first!.id)
  const removedNode = await startAgain(first!)
  if (options.isLong) await growing.step('a drive is replaced', () => growing.replaceDrive(second!))
  await growing.step('a node is lost', () => growing.loseNode(third!))
  if (options.isLong)
    await growing.step('another node is added', async () => {
      await dev.addNode()
      await growing.settled()
    })
  await growing.ask('heal', '--wait', ...PATIENCE)
  const requests = await load.end()
  const failed = requests.filter(({ outcome }) => outcome === 'failed')
  return {
    ...judge(requests),
    steps: growing.steps,
    cured: failed.filter(({ isCured }) => isCured).length,
    failed: failed
      .filter(({ isCured }) => !isCured)
      .map(({ kind, key, why }) => `${kind} ${key}: ${why}`),
    removedNode,
  }
}

type RememberedNode = Remembered['nodes'][number]

/** The steps, as an operator does them, and what each moved. */
class Growing {
  readonly steps: StepFigures[] = []
  readonly #dev: DevCluster
  readonly #endpoint: string
  readonly #say: (line: string) => void

  constructor(dev: DevCluster, endpoint: string, say: (line: string) => void) {
    this.#dev = dev
    this.#endpoint = endpoint
    this.#say = say
  }

  /** Does something that moves shards, and waits for its end itself. */
  async step(step: string, act: () => Promise<unknown>): Promise<void> {
    const begunMs = performance.now()
    const [map, counts, storedBytes] = await Promise.all([
      this.#map(),
      this.#counts(),
      this.#storedBytes(),
    ])
    await act()
    const after = await this.#counts()
    const figures = {
      ...{ step, seconds: (performance.now() - begunMs) / 1000, storedBytes },
      leastBytes: Math.round(storedBytes * leastShare(map, await this.#map())),
      movedBytes: countedSince(counts, after, 'moved'),
      mendedBytes: countedSince(counts, after, 'mended'),
    }
    this.steps.push(figures)
    this.#say(JSON.stringify(figures))
  }

  /** Runs a command that asks the gateway. */
  async ask(...words: string[]): Promise<string> {
    return await this.#dev.kintsugi(...words, '--endpoint', this.#endpoint)
  }

  /** Waits until nothing is to be moved. */
  async settled(): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS
    for (;;) {
      const { moving } = JSON.parse(await this.ask('drive', 'list', '--json')) as DriveList
      if (moving?.phase === 'idle' && moving.remainingShards === 0) return
      if (performance.now() > untilMs)
        throw new Error(`it moves on and on: ${JSON.stringify(moving)}`)
      await sleep(POLL_MS)
    }
  }

  /** A new directory of the node takes the place of its first drive. */
  async replaceDrive({ id, drives }: RememberedNode): Promise<void> {
    const driveId = (await this.#map()).drives.find(({ nodeId }) => nodeId === id)!.id
    const directory = join(dirname(drives[0]!), 'replacement')
    await this.ask(
      'drive',
      'replace',
      String(driveId),
      directory,
      '--node',
      id,
      '--wait',
      ...PATIENCE,
    )
    await this.ask('drive', 'remove', String(driveId))
  }

  /** It dies, and what it had goes with it. */
  async loseNode({ id, pid, state, drives }: RememberedNode): Promise<void> {
    process.kill(pid, 'SIGKILL')
    for (const path of [...drives, state]) await rm(path, { recursive: true })
    await rm(join(dirname(drives[0]!), 'replacement'), { recursive: true, force: true })
    await this.#isAway(id)
    await this.ask('node', 'remove', id, '--lost', '--wait', ...PATIENCE)
    await this.#dev.forget(id)
    await this.settled()
  }

  async #isAway(nodeId: string): Promise<void> {
    const untilMs = performance.now() + PATIENCE_MS
    for (;;) {
      const text = await this.ask('status', '--json')
      const { nodes } = JSON.parse(text) as { nodes: { id: string; answers: boolean }[] }
      if (nodes.some(({ id, answers }) => id === nodeId && !answers)) return
      if (performance.now() > untilMs) throw new Error(`node ${nodeId} is not seen to be away`)
      await sleep(POLL_MS)
    }
  }

  async #map(): Promise<MapView> {
    return JSON.parse(await this.ask('map', '--json')) as MapView
  }

  async #counts(): Promise<Counts> {
    const { nodes } = await this.#dev.remembered()
    return await countBytes(nodes.filter(({ pid }) => isThere(pid)))
  }

  /** About how long all shards are together. */
  async #storedBytes(): Promise<number> {
    const { code } = await this.#map()
    const [dataCount, parityCount] = code.split('+').map(Number)
    const client = new S3Client(this.#endpoint)
    let objectBytes = 0
    let after = ''
    do {
      const query = { 'list-type': '2', ...(after ? { 'start-after': after } : {}) }
      const { status, body } = await client.send({ method: 'GET', path: `/${BUCKET}`, query })
      if (status !== 200) throw new Error(`the list of all objects: ${status} ${body}`)
      const text = String(body)
      for (const [, size] of text.matchAll(/<Size>(\d+)</g)) objectBytes += Number(size)
      const keys = [...text.matchAll(/<Key>([^<]*)</g)].map(([, key]) => key!)
      after = text.includes('<IsTruncated>true<') ? keys.at(-1)! : ''
    } while (after !== '')
    client.close()
    return (objectBytes * (dataCount! + parityCount!)) / dataCount!
  }
}

/** As whoever does not know that it was removed. */
async function startAgain({ drives, state, port, adminPort }: RememberedNode): Promise<Ended> {
  const addresses = ['--listen', `127.0.0.1:${port}`, '--admin-port', String(adminPort)]
  return await runProgram(['node', ...drives, '--state', state, ...addresses])
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
