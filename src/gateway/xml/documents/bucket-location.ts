// The answer of GetBucketLocation: us-east-1 has no name there (pitfall 13).
import { document, escapeXml } from '../write.ts'

/** Root LocationConstraint with the region as its text. */
export function bucketLocationDocument(region: string): string {
  return document('LocationConstraint', region === 'us-east-1' ? '' : escapeXml(region))
}
