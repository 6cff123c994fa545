// One decision of the coordinator as a file. Layout: docs/formats/coordinator.md.
import { xxh64 } from '../digest/xxh64.ts'
import type { ClusterState } from './coordinator.ts'

/** A decision and its place in history. */
export interface Decision {
  state: ClusterState
  /** 32 hex digits over everything in the file: names this decision. */
  hash: string
  /** Hash of the decision before; undefined for the first. */
  predecessor?: string
  /** Recent decisions before this one, and those that drives which are away may still hold. Oldest first. */
  ancestors: [epoch: number, hash: string][]
  /** The epoch that each drive which is away held for sure. */
  held: Record<string, number>
}

const MAGIC = 'kintsugi-coordinator 1'
const HEADER = /^kintsugi-coordinator 1 ([0-9a-f]{16})\n/
const HEADER_BYTES = MAGIC.length + 1 + 16 + 1

/** Names of decision files sort by epoch. */
export function decisionFileName(epoch: number): string {
  return `${epoch}`.padStart(12, '0')
}

/** The epoch in the name of a decision file; undefined for other files. */
export function epochOfFileName(name: string): number | undefined {
  return /^[0-9]{12}$/.test(name) ? Number(name) : undefined
}

/** A decision gets its hash, and its bytes. */
export function encodeDecision(draft: Omit<Decision, 'hash'>): {
  decision: Decision
  bytes: Uint8Array
} {
  const { predecessor, ancestors, held, state } = draft
  const body = Buffer.from(`${JSON.stringify({ predecessor, ancestors, held, state })}\n`)
  const header = Buffer.from(`${MAGIC} ${hex(xxh64(body))}\n`)
  return { decision: { ...draft, hash: hashBody(body) }, bytes: Buffer.concat([header, body]) }
}

/** The decision in `bytes`, or undefined when they are damaged. */
export function decodeDecision(bytes: Uint8Array): Decision | undefined {
  const header = HEADER.exec(Buffer.from(bytes.subarray(0, HEADER_BYTES)).toString('latin1'))
  const body = bytes.subarray(HEADER_BYTES)
  if (header === null || header[1] !== hex(xxh64(body))) return undefined
  const fields = JSON.parse(Buffer.from(body).toString('utf8')) as Omit<Decision, 'hash'>
  return { ...fields, hash: hashBody(body) }
}

function hashBody(body: Uint8Array): string {
  return hex(xxh64(body, 1n)) + hex(xxh64(body, 2n))
}

function hex(value: bigint): string {
  return value.toString(16).padStart(16, '0')
}
