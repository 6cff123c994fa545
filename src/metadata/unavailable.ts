// The world failed: a metadata partition can not answer now.

/** No quorum, no intact replica, or the store is closing. A write that met it has an unknown outcome. */
export class MetadataUnavailable extends Error {
  override readonly name = 'MetadataUnavailable'
  readonly code = 'METADATA_UNAVAILABLE'
}
