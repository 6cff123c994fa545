// What a blob is called where it is looked up.
import type { Blob } from '../../metadata/records.ts'

/** Of one blob: parts of an upload share its uid. */
export function nameOfBlob({ uid, part }: Pick<Blob, 'uid' | 'part'>): string {
  return `${uid}.${part}`
}
