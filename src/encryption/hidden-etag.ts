// The ETag of bytes whose MD5 must not be told: only who has their data key can say how it follows from them.
import { createHmac } from 'node:crypto'

/** The same for the same bytes under the same data key, so a part that is sent again keeps its ETag. */
export function hiddenEtag(dataKey: Uint8Array, md5: string): string {
  return createHmac('sha256', dataKey).update(`etag ${md5}`).digest('hex').slice(0, 32)
}
