// MD5 of long bodies: with others under way by lanes, else by OpenSSL, which is the faster one for a single stream.
import { createHash } from 'node:crypto'
import { kibibytes } from '../kit/bytes.ts'
import { realWorld } from '../kit/world.ts'
import { Md5Lanes } from './md5-lanes.ts'

/** Clients that begin together have all begun by then. */
const DECIDED_AFTER_BYTES = kibibytes(128)

interface Md5 {
  update(bytes: Uint8Array): void
  digest(): Uint8Array
}

let lanes: Md5Lanes | undefined
let underWay = 0
const abandoned = new FinalizationRegistry(() => {
  underWay -= 1
})

/** Makes the lanes, where they compute what OpenSSL computes; without them all goes through OpenSSL. */
export function prepareLongMd5(): void {
  try {
    const made = new Md5Lanes(realWorld().clock)
    if (agrees(made)) lanes = made
  } catch {
    // No SIMD here.
  }
}

/** A new MD5 for a body of a MiB and more, with the shape of Digest. */
export function newLongMd5(): Md5 {
  const md5 = new CountedMd5()
  abandoned.register(md5, undefined, md5)
  underWay += 1
  return md5
}

/** Which way it goes is decided when some of it is there, by who else is under way then. */
class CountedMd5 implements Md5 {
  #md5: Md5 | undefined
  #kept: Buffer[] = []
  #keptBytes = 0

  update(bytes: Uint8Array): void {
    if (this.#md5 !== undefined) {
      this.#md5.update(bytes)
      return
    }
    this.#kept.push(Buffer.from(bytes))
    this.#keptBytes += bytes.length
    if (this.#keptBytes >= DECIDED_AFTER_BYTES) this.#decide()
  }

  digest(): Uint8Array {
    const digest = (this.#md5 ?? this.#decide()).digest()
    abandoned.unregister(this)
    underWay -= 1
    return digest
  }

  #decide(): Md5 {
    const md5 = (underWay > 1 ? lanes?.begin() : undefined) ?? createHash('md5')
    for (const bytes of this.#kept) md5.update(bytes)
    this.#kept = []
    this.#md5 = md5
    return md5
  }
}

/** Streams of odd lengths, begun and ended one after the other. */
function agrees(made: Md5Lanes): boolean {
  const samples = [1_000, 0, 55, 20_000, 64, 3_333].map((bytes) => {
    return Buffer.alloc(bytes, createHash('sha512').update(String(bytes)).digest())
  })
  const streams = samples.map((sample) => {
    const stream = made.begin()
    stream?.update(sample)
    return stream
  })
  return streams.every((stream, index) => {
    const wanted = createHash('md5').update(samples[index]!).digest()
    return stream !== undefined && wanted.equals(stream.digest())
  })
}
