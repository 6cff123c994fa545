// What a process and a thread that digests for it tell each other.
import type { DigestName } from '../digest.ts'

/** To the thread. Of one stream it is heard in order; bytes lie in memory that both share. */
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
  /** Nothing reads the oldest bytes of the stream any more. */
  | { kind: 'taken'; stream: number }
  /** In the order of their names. */
  | { kind: 'done'; stream: number; digests: readonly Uint8Array[] }
