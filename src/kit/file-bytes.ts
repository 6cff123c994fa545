// Bytes of an open file, read and written at positions. By the file's number and with callbacks: the promises of Node make
// so much for each operation that a read of a few KiB takes half as long again.
import { fdatasync, type promises as files, readv, writev } from 'node:fs'

/** Linux takes at most as many buffers in one call (IOV_MAX). */
export const BUFFERS_MAX = 1024

type Done = (error: NodeJS.ErrnoException | null, bytes?: number) => void

/** An open file. What is under way is waited for before it is closed: its number may be another file's right after. */
export class FileBytes {
  readonly #handle: files.FileHandle
  #underWay = 0
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(handle: files.FileHandle) {
    this.#handle = handle
  }

  /** Reads into `buffers` one after the other; returns the bytes read, short only at the end. One promise, however many reads. */
  read(buffers: readonly Uint8Array[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let total = 0
      let rest = withBytes(buffers)
      const go = (): void =>
        this.#begin((file, done) => readv(file, rest, position + total, done), took)
      const took: Done = (error, count = 0) => {
        if (error) return reject(error)
        total += count
        rest = dropBytes(rest, count)
        if (count === 0 || rest.length === 0) return resolve(total)
        try {
          go()
        } catch (failure) {
          reject(failure)
        }
      }
      if (rest.length === 0) resolve(0)
      else go()
    })
  }

  /** Writes all of `buffers`. */
  async write(buffers: readonly Uint8Array[], position: number): Promise<void> {
    let written = 0
    let rest = withBytes(buffers)
    while (rest.length > 0) {
      const some = rest.slice(0, BUFFERS_MAX)
      const count = await this.#perform((file, done) =>
        writev(file, some, position + written, done),
      )
      written += count
      rest = dropBytes(rest, count)
    }
  }

  /** fdatasync */
  async sync(): Promise<void> {
    await this.#perform((file, done) => fdatasync(file, done))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve
      })
    }
    await this.#handle.close()
  }

  #perform(begin: (file: number, done: Done) => void): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#begin(begin, (error, bytes) => {
        if (error) reject(error)
        else resolve(bytes ?? 0)
      })
    })
  }

  #begin(begin: (file: number, done: Done) => void, done: Done): void {
    if (this.#closing !== undefined) throw closedError()
    begin(this.#handle.fd, (error, bytes) => {
      this.#underWay -= 1
      if (this.#underWay === 0) this.#whenIdle?.()
      done(error, bytes)
    })
    this.#underWay += 1
  }
}

function closedError(): NodeJS.ErrnoException {
  return Object.assign(new Error('EBADF: the file is closed'), { code: 'EBADF' })
}

function withBytes(buffers: readonly Uint8Array[]): readonly Uint8Array[] {
  return buffers.every(({ length }) => length > 0)
    ? buffers
    : buffers.filter(({ length }) => length > 0)
}

/** What is left of `buffers` behind their first `count` bytes. */
export function dropBytes(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count
  let index = 0
  while (index < buffers.length && left >= buffers[index]!.length) {
    left -= buffers[index]!.length
    index += 1
  }
  const rest = buffers.slice(index)
  if (left > 0) rest[0] = rest[0]!.subarray(left)
  return rest
}
