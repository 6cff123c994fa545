// Names that are never used twice: 48 bits of milliseconds, then 80 random bits.
import type { Brand } from './brand.ts'
import { asBuffer } from './bytes.ts'
import type { World } from './world.ts'

/** 32 lower-case hex digits: 6 bytes of milliseconds since 1970, 10 random bytes. Sorts by time. */
export type Uid = Brand<string, 'Uid'>

/** Length of a uid on disk. */
export const UID_BYTES = 16

/** A new uid. */
export function newUid(world: Pick<World, 'clock' | 'random'>): Uid {
  const bytes = Buffer.alloc(UID_BYTES)
  bytes.writeUIntBE(world.clock.now(), 0, 6)
  bytes.set(world.random.bytes(10), 6)
  return bytes.toString('hex') as Uid
}

/** The 16 bytes of a uid. */
export function uidBytes(uid: Uid): Buffer {
  return Buffer.from(uid, 'hex')
}

/** Puts the 16 bytes of a uid at byte `at`. */
export function writeUid(target: Buffer, uid: Uid, at: number): void {
  target.write(uid, at, UID_BYTES, 'hex')
}

/** The uid that 16 bytes spell. */
export function uidFromBytes(bytes: Uint8Array): Uid {
  return asBuffer(bytes.subarray(0, UID_BYTES)).toString('hex') as Uid
}

/** The uid in `text`, or undefined when it is none. */
export function parseUid(text: string): Uid | undefined {
  return /^[0-9a-f]{32}$/.test(text) ? (text as Uid) : undefined
}

/** When a uid was made, in milliseconds since 1970. */
export function uidTimeMs(uid: Uid): number {
  return Number.parseInt(uid.slice(0, 12), 16)
}
