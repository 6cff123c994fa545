// Operations that may take minutes (copies, completions) keep their client waiting with white space: first the XML
// declaration, then a space every few seconds, then the document, or an <Error> in its place (pitfall 100).
import type { Clock } from '../kit/world.ts'
import type { Reply } from './call.ts'
import { asLateError } from './error-reply.ts'
import type { OperationName } from './operation-names.ts'
import type { S3Error } from './s3-error.ts'

/** S3 answers these with 200 before it knows how they end. */
export const PATIENT_OPERATIONS: ReadonlySet<OperationName> = new Set<OperationName>([
  'CopyObject',
  'UploadPartCopy',
  'CompleteMultipartUpload',
])

/** Clients give up after 15 s at the earliest: s3fs does, after that long without a byte. */
const SPACE_EVERY_MS = 5_000
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** Whose time and patience it is, and who makes a document of a late error. */
export interface PatientParts {
  clock: Clock
  /** The error as a document; also where it is logged. */
  describe(error: S3Error): string
  /** Aborted when the client goes away: nobody waits any more then. */
  signal: AbortSignal
}

/** The reply itself when it comes soon, with its true status; otherwise one that trickles until it comes. */
export async function patientReply(running: Promise<Reply>, parts: PatientParts): Promise<Reply> {
  const soon = await settledWithin(running, parts)
  if (soon !== 'later') return running
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: { kind: 'trickle', chunks: trickle(running, parts) },
  }
}

async function* trickle(running: Promise<Reply>, parts: PatientParts): AsyncGenerator<string> {
  yield DECLARATION
  while ((await settledWithin(running, parts)) === 'later') yield ' '
  yield await running.then(documentOf, (error) => parts.describe(asLateError(error))).then(bare)
}

function documentOf({ body }: Reply): string {
  return body?.kind === 'text' ? body.text : ''
}

/** Without the declaration: it went out long ago. */
function bare(document: string): string {
  return document.replace(/^<\?xml[^>]*\?>\s*/, '')
}

async function settledWithin(
  running: Promise<unknown>,
  { clock, signal }: PatientParts,
): Promise<'settled' | 'later'> {
  const settled = new AbortController()
  const waiting = clock.sleep(SPACE_EVERY_MS, AbortSignal.any([settled.signal, signal])).then(
    () => 'later' as const,
    () => 'settled' as const, // Aborted: the operation is done, or nobody waits for it.
  )
  // How it ended is looked at by the caller.
  const done = running.then(
    () => 'settled' as const,
    () => 'settled' as const,
  )
  try {
    signal.throwIfAborted()
    return await Promise.race([done, waiting])
  } finally {
    settled.abort()
  }
}
