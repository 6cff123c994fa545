// Small blobs that were read and verified a short while ago, for those who read them next. Exact without being told of anything:
// the bytes of a uid are never changed, and whoever asks has just read in a row which uid it is
// (docs/decisions/0028-small-blobs-in-memory.md). Repair and scrubs read drives, never this.
import { xxh64 } from '../digest/xxh64.ts'
import { kibibytes, mebibytes } from '../kit/bytes.ts'
import type { Uid } from '../kit/uid.ts'
import type { Blob } from '../metadata/records.ts'

/** What names the bytes of a blob for ever, and how many they are. */
export type CachedAs = Pick<Blob, 'uid' | 'part' | 'bytes'>

/** Bounds of what is kept and of what is remembered. */
export interface BlobCacheLimits {
  /** Memory for everything that is kept. */
  maxBytes: number
  /** Longer blobs are not kept. */
  maxBlobBytes: number
  /** So many blobs that were read once are remembered, to know them again. */
  maxSeen: number
}

// Blobs of that length are copies (COPIES_UP_TO_BYTES of write-blob.ts): one read of one drive gives all of it.
const LIMITS: BlobCacheLimits = {
  maxBytes: mebibytes(64),
  maxBlobBytes: kibibytes(128),
  maxSeen: 16_384,
}

/** What an entry costs beside its bytes. */
const ENTRY_BYTES = 400

/** Bytes, and what tells when memory has changed them. */
interface Kept {
  name: string
  bytes: Uint8Array
  checksum: bigint
  /** On the face of the clock. */
  place: number
  /** Since the hand passed over it. */
  isUsed: boolean
}

/** Reads of blobs that are short enough to be kept: from memory, and from drives. */
export interface BlobCacheCounts {
  hits: number
  misses: number
}

/**
 * Bytes by blob. Where room is needed a hand goes round over them, as that of a clock, and drops those that nobody asked for since
 * it passed over them (F. J. Corbato, "A paging experiment with the Multics system", 1968). So a hit costs one look into a map; to
 * keep the order of last use would cost two changes of it.
 */
export class BlobCache {
  readonly counts: BlobCacheCounts = { hits: 0, misses: 0 }
  readonly #limits: BlobCacheLimits
  readonly #kept = new Map<string, Kept>()
  /** The same: an iterator of the map that is held would hold all that the map ever had. */
  readonly #face: Kept[] = []
  #hand = 0
  #bytes = 0
  #seen = new Set<string>()
  #seenBefore = new Set<string>()

  constructor(limits: Partial<BlobCacheLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits }
  }

  /** Memory that is taken now. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * All bytes of a blob, to be read for as long as anybody likes and never to be changed; undefined when they are not here. They
   * are verified as those of a drive are: what lies in memory for days is not what was put there for ever.
   */
  find(blob: CachedAs): Uint8Array | undefined {
    if (!this.#fits(blob)) return undefined
    const name = nameOf(blob)
    const kept = this.#kept.get(name)
    if (kept === undefined) return undefined
    if (kept.bytes.length !== blob.bytes || xxh64(kept.bytes) !== kept.checksum) {
      this.#drop(name)
      return undefined
    }
    this.counts.hits += 1
    kept.isUsed = true
    return kept.bytes
  }

  /**
   * Asked once for each blob that was not found and is now read: whether it is worth keeping, as when somebody reads it for the
   * second time within a while. What passes once, as a walk over all that there is, is not copied and takes no room from others.
   */
  isWanted(blob: CachedAs): boolean {
    if (!this.#fits(blob)) return false
    this.counts.misses += 1
    const name = nameOf(blob)
    if (this.#seen.has(name) || this.#seenBefore.has(name)) return true
    if (this.#seen.size >= this.#limits.maxSeen / 2) {
      this.#seenBefore = this.#seen
      this.#seen = new Set()
    }
    this.#seen.add(name)
    return false
  }

  /** Keeps all bytes of a blob, which were verified and are nobody's to change. */
  keep(blob: CachedAs, bytes: Uint8Array): void {
    if (!this.#fits(blob)) return
    const name = nameOf(blob)
    this.#drop(name)
    this.#makeRoom(costOf({ bytes }))
    const place = this.#face.length
    const kept = { name, bytes, checksum: xxh64(bytes), place, isUsed: false }
    this.#kept.set(name, kept)
    this.#face.push(kept)
    this.#bytes += costOf(kept)
  }

  #fits({ bytes }: CachedAs): boolean {
    return bytes <= this.#limits.maxBlobBytes
  }

  /** The hand goes round twice at most. */
  #makeRoom(bytes: number): void {
    while (this.#bytes + bytes > this.#limits.maxBytes && this.#face.length > 0) {
      if (this.#hand >= this.#face.length) this.#hand = 0
      const kept = this.#face[this.#hand]!
      // What takes the place of one that goes came last of all, and has a round before it.
      this.#hand += 1
      if (kept.isUsed) kept.isUsed = false
      else this.#drop(kept.name)
    }
  }

  #drop(name: string): void {
    const kept = this.#kept.get(name)
    if (kept === undefined) return
    this.#kept.delete(name)
    this.#bytes -= costOf(kept)
    const last = this.#face.pop()!
    if (last === kept) return
    last.place = kept.place
    this.#face[kept.place] = last
  }
}

function costOf({ bytes }: Pick<Kept, 'bytes'>): number {
  return ENTRY_BYTES + bytes.length
}

function nameOf({ uid, part }: { uid: Uid; part: number }): string {
  return part === 0 ? uid : `${uid}.${part}`
}
