// The store of a process, without its gateway, over real directories of which some fall ill; and a load that remembers
// what was acknowledged.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import type { ServeConfig } from '../../src/config.ts'
import { newDigest, prepareDigests } from '../../src/digest/digest.ts'
import type { CareTuning } from '../../src/embedded/open-care.ts'
import { type OpenedStore, openStore } from '../../src/embedded/open-store.ts'
import type { Tuning } from '../../src/embedded/tuning.ts'
import { ClosingStack } from '../../src/kit/closing-stack.ts'
import { silentLog } from '../../src/kit/log.ts'
import { realWorld } from '../../src/kit/world.ts'
import type { Body, Bucket } from '../../src/objects/object-store.ts'
import type { Seeded } from './seeded.ts'
import { SickDisk } from './sick-disk.ts'

/** An open store and what a test reaches into. */
export interface SickStore extends OpenedStore {
  disk: SickDisk
  directories: string[]
  bucket: Bucket
  registry: Registry
  /** Closes the store; its directories stay. */
  close(): Promise<void>
}

/** Directories for `count` drives, and how to remove them. */
export async function newDirectories(
  count: number,
): Promise<{ directories: string[]; remove: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'kintsugi-sick-'))
  const directories = Array.from({ length: count }, (_, index) => join(root, `drive${index + 1}`))
  return { directories, remove: () => rm(root, { recursive: true, force: true }) }
}

/** What a test puts in the place of the real things. */
export interface SickParts extends Pick<Tuning, 'openLevel'> {
  disk?: SickDisk
}

/** Makes or opens a 4+2 store; `openLevel` stands for LevelDB where it is given. */
export async function openSickStore(
  directories: string[],
  care: CareTuning = {},
  { disk = new SickDisk(realWorld().disk), ...levels }: SickParts = {},
): Promise<SickStore> {
  await prepareDigests()
  const registry = new Registry()
  const opened = new ClosingStack()
  const world = { ...realWorld(), disk }
  // All lie on one disk here, and stand for disks of their own.
  const limits = { sharedFactor: 1, ...care.limits }
  const tuning = { care: { ...care, limits }, poolBytes: 64 * 2 ** 20, ...levels }
  const parts = { world, log: silentLog, registry, tuning }
  const store = await opened.guard(() => openStore(configOf(directories), parts, opened))
  const { bucket } = await store.objects.createBucket('bucket', 'us-east-1')
  return { ...store, disk, directories, bucket, registry, close: () => opened.close() }
}

function configOf(directories: string[]): ServeConfig {
  return {
    directories,
    ...{
      address: '127.0.0.1',
      port: 0,
      adminAddress: '127.0.0.1',
      adminPort: 0,
      processes: 1,
      domains: [],
      region: 'us-east-1',
    },
    ...{
      strictRegion: false,
      strictS3: false,
      http: 'node' as const,
      buckets: [],
      logLevel: 'silent' as const,
    },
    code: { dataCount: 4, parityCount: 2 },
    garbageGraceMs: 60_000,
    mendDelayMs: 0,
    orphanAgeMs: 24 * 3_600_000,
    abandonedUploadMs: undefined,
    scrubPeriodMs: 14 * 24 * 3600 * 1000,
    dumpPeriodMs: 7 * 24 * 3_600_000,
    rootCredentials: { accessKeyId: 'root', secretAccessKey: 'secret-of-the-root' },
  }
}

const SIZES = [100, 20_000, 150_000, 700_000, 5_000_000] as const
const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }

/** When a request began, how long it took, and what it was. */
export interface Measured {
  kind: 'get' | 'put'
  beganMs: number
  tookMs: number
}

/** Workers that put and get, each with keys of its own, and hold every answer against what they wrote. */
export class SickLoad {
  readonly #store: SickStore
  readonly #random: Seeded
  readonly #contents = new Map<string, Buffer>()
  readonly measured: Measured[] = []
  readonly troubles: string[] = []
  #stopping = false

  constructor(store: SickStore, random: Seeded) {
    this.#store = store
    this.#random = random
  }

  /** Runs until stop(). */
  async run(workers: number): Promise<void> {
    await Promise.all(Array.from({ length: workers }, (_, worker) => this.#work(worker)))
  }

  stop(): void {
    this.#stopping = true
  }

  /** So many objects, one after the other. */
  async putSome(count: number): Promise<void> {
    for (let number = 0; number < count; number += 1) await this.#put(`some/k${number}`)
  }

  /** Reads everything that was acknowledged, perhaps from a store that was opened again. */
  async checkAll(store = this.#store): Promise<number> {
    for (const key of this.#contents.keys()) await this.#get(key, store)
    return this.#contents.size
  }

  async #work(worker: number): Promise<void> {
    while (!this.#stopping) {
      const key = `w${worker}/k${this.#random.below(20)}`
      const kind = this.#contents.has(key) && this.#random.below(2) === 0 ? 'get' : 'put'
      const beganMs = performance.now()
      await (kind === 'get' ? this.#get(key) : this.#put(key))
      this.measured.push({ kind, beganMs, tookMs: performance.now() - beganMs })
    }
  }

  async #put(key: string): Promise<void> {
    const bytes = this.#random.bytes(this.#random.pick(SIZES))
    const { objects, bucket } = this.#store
    try {
      const outcome = await objects.put({
        ...{ bucket, key, attributes: ATTRIBUTES, conditions: {}, body: bodyOf(bytes) },
        signal: new AbortController().signal,
      })
      if (outcome.kind === 'done') this.#contents.set(key, bytes)
      else this.troubles.push(`put ${key}: ${outcome.kind}`)
    } catch (error) {
      // What the key is now is open.
      this.#contents.delete(key)
      this.troubles.push(`put ${key}: ${String(error)}`)
    }
  }

  async #get(key: string, { objects, bucket } = this.#store): Promise<void> {
    const wanted = this.#contents.get(key)
    if (wanted === undefined) return
    try {
      const found = await objects.find(bucket, key)
      if (found.kind !== 'found') {
        this.troubles.push(`get ${key}: ${found.kind}`)
        return
      }
      const chunks: Uint8Array[] = []
      const range = { first: 0, last: wanted.length - 1 }
      const { signal } = new AbortController()
      for await (const chunk of found.object.read(range, { signal }))
        chunks.push(Buffer.from(chunk))
      if (!Buffer.concat(chunks).equals(wanted)) this.troubles.push(`get ${key}: wrong bytes`)
    } catch (error) {
      this.troubles.push(`get ${key}: ${String(error)}`)
    }
  }
}

/** As a gateway hands it to the store. */
export function bodyOf(bytes: Uint8Array): Body {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
  }
  const finish = (): { md5: string } => {
    const digest = newDigest('MD5')
    digest.update(bytes)
    return { md5: Buffer.from(digest.digest()).toString('hex') }
  }
  return { bytes: bytes.length, chunks: chunks(), finish }
}

/** A share of times, in milliseconds. */
export function quantileOf(measured: readonly Measured[], share: number): number {
  const sorted = measured.map(({ tookMs }) => tookMs).sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
