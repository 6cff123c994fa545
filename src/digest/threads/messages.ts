// What a process and a thread that digests for it tell each other.
import type { DigestName } from '../digest.ts'

/** Portions of one stream that the thread may have at once: who has more waits. */
export const PORTIONS_UNDER_WAY_MAX = 4

/** With so many of one stream the thread sets to work: it is done with one long before the stream has to wait. */
export const PORTIONS_THAT_URGE = 2

/** With fewer streams there is nothing to be gained by waiting for the others. */
export const STREAMS_THAT_WAIT = 3

/** To the thread, several at a time. Of one stream it is heard in order; bytes lie in memory that both share. */
export type ToThread =
  | { kind: 'begin'; stream: number; names: readonly DigestName[] }
  | { kind: 'bytes'; stream: number; bytes: Uint8Array }
  /** Wants the digests. */
  | { kind: 'end'; stream: number }
  /** Nobody wants them any more. */
  | { kind: 'drop'; stream: number }

/** From the thread. */
export type FromThread =
  | { kind: 'ready' }
  /** Nothing reads the oldest bytes of these streams any more. */
  | { kind: 'taken'; streams: readonly number[] }
  /** In the order of their names. */
  | { kind: 'done'; stream: number; digests: readonly Uint8Array[] }
