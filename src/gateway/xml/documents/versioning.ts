// The answer of GetBucketVersioning: empty where it was never set (pitfall 96).
import type { BucketSettings } from '../../../objects/object-store.ts'
import { document, element } from '../write.ts'

/** Root VersioningConfiguration; undefined where it was never set. */
export function versioningDocument(versioning: BucketSettings['versioning']): string {
  if (versioning === undefined) return document('VersioningConfiguration', '')
  const status = versioning === 'enabled' ? 'Enabled' : 'Suspended'
  return document('VersioningConfiguration', element('Status', status))
}
