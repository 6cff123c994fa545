// The file of a form as a body of the store, which must know its length before the first byte; the form does not
// say it. Up to 8 MiB are kept until the file has ended. The length of a longer one follows from that of the
// request if nothing but the end of the form comes after it; where something does, it is refused and not stored.
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import { Semaphore } from '../../kit/semaphore.ts'
import type { Body, ChecksumAlgorithm } from '../../objects/object-store.ts'
import { S3Error } from '../s3-error.ts'
import { BodyChecksums, type DigestClaims } from './checksums.ts'
import { type Form, malformed } from './form-data.ts'

/** A longer file must be the last field of its form. */
const KEPT_BYTES_MAX = mebibytes(8)

// One for the process: so many bytes of files may be kept at once, counted in megabytes; others wait.
const KEPT_UNIT = mebibytes(1)
const memory = new Semaphore(mebibytes(128) / KEPT_UNIT, { maxWaiting: 1_000 })

/** What was kept goes on bit by bit: digests of all of it at once would hold everybody else up. */
const YIELDED_BYTES = kibibytes(256)

export interface FormFileOptions {
  /** Of the whole request; undefined when the client did not say. */
  requestBytes: number | undefined
  /** How long the file may be. */
  range: { min: number; max: number }
  claims: DigestClaims
  /** Computed when the client claims none. */
  checksum: ChecksumAlgorithm
  signal: AbortSignal
}

/** A file that can be stored. */
export interface FormFile {
  body: Body
  /** Gives back the memory; may be called twice. */
  release(): void
}

/** Reads as much of the file as is needed to know its length. Throws S3Error. */
export async function openFormFile(form: Form, options: FormFileOptions): Promise<FormFile> {
  const { requestBytes = Infinity, range, signal } = options
  const capacity = Math.min(KEPT_BYTES_MAX, Math.max(0, requestBytes - form.headBytes))
  const release = await takeMemory(capacity, signal)
  try {
    const beginning = await readBeginning(form, capacity, range.max)
    const bytes = beginning.ended ? beginning.kept.length : bytesOfLong(form, options.requestBytes)
    checkLength(bytes, range)
    if (beginning.ended) await form.skipRest()
    const chunks = pass(form, { ...beginning, bytes, release })
    return { body: digestedBody(bytes, chunks, options), release }
  } catch (error) {
    release()
    throw error
  }
}

async function takeMemory(bytes: number, signal: AbortSignal): Promise<() => void> {
  const units = Math.ceil(bytes / KEPT_UNIT)
  await memory.acquire(units, signal)
  let taken = true
  return () => {
    if (taken) memory.release(units)
    taken = false
  }
}

/** The first bytes of a file, perhaps all; `next` are those that did not fit any more. */
interface Beginning {
  kept: Buffer
  next: Uint8Array
  ended: boolean
}

async function readBeginning(form: Form, capacity: number, max: number): Promise<Beginning> {
  const kept = Buffer.allocUnsafe(capacity)
  let bytes = 0
  for (;;) {
    const next = await form.file.next()
    if (next.done === true)
      return { kept: kept.subarray(0, bytes), next: kept.subarray(0, 0), ended: true }
    if (bytes + next.value.length > max) throw tooLarge(bytes + next.value.length, max)
    if (bytes + next.value.length > capacity) {
      return { kept: kept.subarray(0, bytes), next: next.value, ended: false }
    }
    kept.set(next.value, bytes)
    bytes += next.value.length
  }
}

function bytesOfLong(form: Form, requestBytes: number | undefined): number {
  if (requestBytes !== undefined) return requestBytes - form.headBytes - form.tailBytes
  const message = 'A form with a file of more than 8 MiB needs the Content-Length HTTP header.'
  throw new S3Error('MissingContentLength', {}, { message })
}

function checkLength(bytes: number, { min, max }: FormFileOptions['range']): void {
  if (bytes > max) throw tooLarge(bytes, max)
  if (bytes >= min) return
  throw new S3Error('EntityTooSmall', { ProposedSize: String(bytes), MinSizeAllowed: String(min) })
}

function tooLarge(bytes: number, max: number): S3Error {
  return new S3Error('EntityTooLarge', {
    ProposedSize: String(bytes),
    MaxSizeAllowed: String(max),
  })
}

/** What was kept, then the rest; exactly as many bytes as were promised. */
async function* pass(
  form: Form,
  { kept, next, ended, bytes, release }: Beginning & { bytes: number; release(): void },
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < kept.length; at += YIELDED_BYTES)
    yield kept.subarray(at, at + YIELDED_BYTES)
  release()
  if (ended) return
  yield next
  let left = bytes - kept.length - next.length
  for await (const chunk of form.file) {
    left -= chunk.length
    if (left < 0) throw notLast()
    yield chunk
  }
  if (left !== 0) throw notLast()
  await form.skipRest()
}

function notLast(): S3Error {
  return malformed(
    'A file of more than 8 MiB must be the last field of its form, and the form must end with a line break.',
  )
}

function digestedBody(
  bytes: number,
  chunks: AsyncIterable<Uint8Array>,
  { claims, checksum }: FormFileOptions,
): Body {
  const checksums = new BodyChecksums(claims, checksum)
  let whole = false
  async function* digested(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      checksums.update(chunk)
      yield chunk
    }
    whole = true
  }
  return {
    bytes,
    chunks: digested(),
    finish: () => {
      if (!whole) throw new S3Error('IncompleteBody')
      return checksums.finish(undefined)
    },
  }
}
