// What the first process and its workers tell each other, over the channel that Node opens between them.
import type { MetricObjectWithValues, MetricValue } from 'prom-client'

/** All metrics of a registry, as data. */
export type MetricsAsJson = MetricObjectWithValues<MetricValue<string>>[]

/** Whether a worker can serve, and what it lacks. */
export interface WorkerReadiness {
  ready: boolean
  /** One sentence each. */
  degraded: readonly string[]
}

/** What a worker may be asked, and what it answers. */
export interface Answers {
  metrics: MetricsAsJson
  readiness: WorkerReadiness
}

/** What a worker may be asked. */
export type QuestionName = keyof Answers

/** What a worker is told in its environment. */
export interface WorkerStart {
  /** From 0, among the workers of this program; one that is started again has the number of its predecessor. */
  index: number
  count: number
  /** Which port it shall ask for. */
  port: number
}

/** The file descriptor of a worker that leads to the store, where the first process has it. */
export const LINK_FD = 4

/** To a worker. */
export type ToWorker =
  | { kind: 'ask'; id: number; name: QuestionName }
  | { kind: 'close'; deadlineMs: number }

/** From a worker. */
export type FromWorker =
  | { kind: 'serving'; endpoint: string; lines: readonly string[] }
  | { kind: 'not-started'; code: number; sentence: string }
  | { kind: 'answer'; id: number; answer: unknown }
