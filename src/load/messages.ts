// What the bench and the processes of its generator tell each other.
import type { PlainEndpoint } from './endpoint.ts'
import type { LoadName } from './loads.ts'
import type { Tally } from './run-clients.ts'

/** What a process does. */
export interface Work {
  load: LoadName
  /** Other than those of the load. */
  clients?: number | undefined
  bucket: string
  endpoint: PlainEndpoint
  /** Which of `processes` it is, from 0. */
  at: number
  processes: number
}

/** What a process is told. */
export type ToProcess = { kind: 'prepare'; work: Work } | { kind: 'run'; seconds: number }

/** What it answers. */
export type FromProcess =
  | { kind: 'ready'; tally: Tally }
  | { kind: 'ran'; tally: Tally; cpuSeconds: number }
  | { kind: 'failed'; why: string }
