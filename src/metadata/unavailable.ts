// The world failed: a metadata partition can not answer now.

/** No quorum, no intact replica, or the store is closing. A write that met it has an unknown outcome. */
export class MetadataUnavailable extends Error {
  override readonly name = 'MetadataUnavailable'
  readonly code = 'METADATA_UNAVAILABLE'
  /** Of work that was given up and goes on: its end, when that comes. Absent where nothing goes on. */
  readonly lateEnd: Promise<unknown> | undefined

  constructor(message: string, options: { cause?: unknown; lateEnd?: Promise<unknown> } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.lateEnd = options.lateEnd
  }
}
