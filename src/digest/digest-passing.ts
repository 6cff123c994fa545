// Bytes that are digested while they pass: what S3 wants to know of a body, its MD5 and one checksum. Those of long bodies by
// threads beside this one, where there are some.
import { assert } from '../kit/assert.ts'
import { mebibytes } from '../kit/bytes.ts'
import { usableCores } from '../kit/cores.ts'
import type { Clock } from '../kit/world.ts'
import { type Digest, type DigestName, newDigest, newLongMd5 } from './digest.ts'
import { DigestThreads } from './threads/digest-threads.ts'
import { passByThread } from './threads/passing-by-thread.ts'

/** From here on it pays to digest several bodies together, or elsewhere. */
const LONG_BODY_BYTES = mebibytes(1)

/** As many as a thread that serves can feed. */
const THREADS_MAX = 4

let threads: DigestThreads | undefined

/** Threads that find a core beside the one thread of a process that serves alone. */
export function usualDigestThreads(): number {
  return Math.min(THREADS_MAX, usableCores() - 1)
}

/** From now on long bodies are digested by so many threads beside this one, until close(); by this one with none. */
export function startDigestThreads(count: number, clock: Clock): { close(): Promise<void> } {
  if (count === 0) return { close: async () => {} }
  const started = new DigestThreads({ count, clock })
  threads = started
  return {
    close: async () => {
      if (threads === started) threads = undefined
      await started.close()
    },
  }
}

/** Digests of one body. */
export class PassingDigests {
  readonly #names: readonly DigestName[]
  readonly #isLong: boolean
  #values: ReadonlyMap<DigestName, Uint8Array> | undefined

  /** `bytes`: about how long the body is. */
  constructor(names: readonly DigestName[], bytes: number) {
    this.#names = names
    this.#isLong = bytes >= LONG_BODY_BYTES
  }

  /** Passes chunks on, in portions of any size, and each of them once through every digest. Called once. */
  async *pass(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const stream = this.#isLong ? threads?.begin(this.#names) : undefined
    if (stream !== undefined) {
      yield* passByThread(chunks, stream, (digests) => this.#end(digests))
      return
    }
    const digests = this.#names.map((name) => this.#newDigest(name))
    for await (const chunk of chunks) {
      for (const digest of digests) digest.update(chunk)
      yield chunk
    }
    this.#end(digests.map((digest) => digest.digest()))
  }

  /** All digests, once everything has passed. */
  values(): ReadonlyMap<DigestName, Uint8Array> {
    assert(this.#values !== undefined, 'digests are of bytes that have all passed')
    return this.#values
  }

  #newDigest(name: DigestName): Digest {
    return this.#isLong && name === 'MD5' ? newLongMd5() : newDigest(name)
  }

  #end(digests: readonly Uint8Array[]): void {
    this.#values = new Map(this.#names.map((name, index) => [name, digests[index]!]))
  }
}

/** The chunks that pass, and their digests once all have passed. */
export interface DigestedChunks<Name extends DigestName> {
  chunks: AsyncGenerator<Uint8Array>
  /** `md5` in hex, the value of the checksum in base64. Called once, after the last chunk. */
  finish(): { md5: string; checksum: { algorithm: Name; type: 'FULL_OBJECT'; value: string } }
}

/** Passes about `bytes` bytes on, each of them once through every digest. */
export function digestPassing<Name extends DigestName>(
  chunks: AsyncIterable<Uint8Array>,
  algorithm: Name,
  bytes: number,
): DigestedChunks<Name> {
  const digests = new PassingDigests([...new Set<DigestName>(['MD5', algorithm])], bytes)
  return {
    chunks: digests.pass(chunks),
    finish: () => {
      const values = digests.values()
      const md5 = Buffer.from(values.get('MD5')!).toString('hex')
      const value = Buffer.from(values.get(algorithm)!).toString('base64')
      return { md5, checksum: { algorithm, type: 'FULL_OBJECT', value } }
    },
  }
}
