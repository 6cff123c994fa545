// The file of a form as a body of the store, which must know its length before the first byte; the form does not
// say it. A short form is kept until its file has ended. In a longer one the length of the file follows from that of
// the request if nothing but the end of the form comes after it; where something does, it is refused and not stored.
import { kibibytes, mebibytes } from '../../kit/bytes.ts'
import type { Body, ChecksumAlgorithm } from '../../objects/object-store.ts'
import { processBound } from '../process-bounds.ts'
import { S3Error } from '../s3-error.ts'
import { BodyChecksums, type DigestClaims } from './checksums.ts'
import { type Form, malformed } from './form-data.ts'

/** From its file on a form of so many bytes is kept. */
const KEPT_BYTES_MAX = mebibytes(8)

// So many bytes of files may be kept at once, counted in megabytes; others wait, but not many,
// for each keeps a turn of the gateway.
const KEPT_UNIT = mebibytes(1)
const memory = processBound({
  permits: mebibytes(128) / KEPT_UNIT,
  permitsMin: KEPT_BYTES_MAX / KEPT_UNIT,
  maxWaiting: 64,
})

/** What was kept goes on bit by bit: digests of all of it at once would hold everybody else up. */
const YIELDED_BYTES = kibibytes(256)

/** What the request, its fields and its policy say of the file before its first byte. */
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
  const { requestBytes } = options
  const leftBytes = requestBytes === undefined ? KEPT_BYTES_MAX : requestBytes - form.headBytes
  if (leftBytes > KEPT_BYTES_MAX) return openLong(form, leftBytes - form.tailBytes, options)
  return await openShort(form, leftBytes, options)
}

/** A file that takes all that is left of its form. */
function openLong(form: Form, bytes: number, options: FormFileOptions): FormFile {
  checkLength(bytes, options.range)
  return { body: digestedBody(bytes, passLong(form, bytes), options), release: () => {} }
}

/** Exactly as many bytes as were promised. */
async function* passLong(form: Form, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
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
    'In a form of more than 8 MiB the file must be the last field, and the form must end with a line break.',
  )
}

/** A file of at most `capacity` bytes. */
async function openShort(
  form: Form,
  capacity: number,
  options: FormFileOptions,
): Promise<FormFile> {
  const { range, signal } = options
  const release = await takeMemory(capacity, signal)
  try {
    const kept = await readKept(form, capacity, range.max)
    checkLength(kept.length, range)
    await form.skipRest()
    return { body: digestedBody(kept.length, passKept(kept), options), release }
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

async function readKept(form: Form, capacity: number, max: number): Promise<Buffer> {
  const kept = Buffer.allocUnsafe(capacity)
  let bytes = 0
  for (;;) {
    const next = await form.file.next()
    if (next.done === true) return kept.subarray(0, bytes)
    if (bytes + next.value.length > max) throw tooLarge(bytes + next.value.length, max)
    if (bytes + next.value.length > capacity) throw lengthMissing()
    kept.set(next.value, bytes)
    bytes += next.value.length
  }
}

/** Only a request that does not say how long it is can be longer than what is kept of it. */
function lengthMissing(): S3Error {
  const message = 'A form of more than 8 MiB needs the Content-Length HTTP header.'
  return new S3Error('MissingContentLength', {}, { message })
}

async function* passKept(kept: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < kept.length; at += YIELDED_BYTES) {
    yield kept.subarray(at, at + YIELDED_BYTES)
  }
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

function digestedBody(
  bytes: number,
  chunks: AsyncIterable<Uint8Array>,
  { claims, checksum }: FormFileOptions,
): Body {
  const checksums = new BodyChecksums(claims, checksum, { bytes })
  let whole = false
  async function* digested(): AsyncGenerator<Uint8Array> {
    yield* checksums.pass(chunks)
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
