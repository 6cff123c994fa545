// Versions of keys as lists, newest first: what the log of a partition decides, in the simplest way.
import {
  type AnyVersion,
  type Bucket,
  type Checksum,
  type DeleteMarker,
  type DeleteOptions,
  type DeleteOutcome,
  type EditOutcome,
  isDeleteMarker,
  type ListedVersion,
  type ObjectVersion,
  type Refused,
  type Retention,
  shownVersionId,
  type VersionEdit,
  type WriteConditions,
} from '../../../../src/objects/object-store.ts'

/** When everything in the store happened, unless a test says otherwise. */
export const STORE_TIME_MS = Date.UTC(2026, 10, 20, 12, 0, 0, 250)

/** An object with its bytes. */
export interface Kept {
  version: ObjectVersion
  bytes: Buffer
  parts: { bytes: number; checksum?: Checksum }[]
}

/** What stands in the list of a key. */
export type Entry = Kept | { version: DeleteMarker }

/** A new object: id and time are made here. */
export type NewKept = Omit<Kept, 'version'> & {
  version: Omit<ObjectVersion, 'versionId' | 'versioned' | 'modifiedMs'>
}

export class MemoryVersions {
  /** By `bucket/key`, newest first. */
  readonly lists = new Map<string, Entry[]>()
  #serial = 0

  /** Entries that are the newest of their key and no markers. */
  current(): Map<string, Kept> {
    const entries = [...this.lists].map(([path, [newest]]) => [path, newest] as const)
    return new Map(entries.filter((pair): pair is [string, Kept] => isKept(pair[1])))
  }

  find(bucket: Bucket, key: string, versionId?: string): Entry | undefined {
    const list = this.lists.get(`${bucket.name}/${key}`) ?? []
    return versionId === undefined
      ? list[0]
      : list.find(({ version }) => isCalled(version, versionId))
  }

  put(bucket: Bucket, key: string, conditions: WriteConditions, made: NewKept) {
    const refused = this.#refuse(bucket, key, conditions)
    if (refused) return refused
    const version: ObjectVersion = { ...made.version, ...this.#name(bucket) }
    this.#push(bucket, key, { ...made, version })
    return { kind: 'done', version } as const
  }

  delete(bucket: Bucket, key: string, options: DeleteOptions): DeleteOutcome {
    const refused = this.#refuse(bucket, key, options.conditions)
    if (refused) return refused
    const keepsVersions = bucket.settings?.versioning !== undefined
    if (keepsVersions && options.versionId === undefined) return this.#mark(bucket, key)
    const gone = this.find(bucket, key, options.versionId)
    if (!gone) return { kind: 'done' }
    if (isLocked(gone.version, options.bypass)) return { kind: 'locked' }
    const path = `${bucket.name}/${key}`
    const rest = this.lists.get(path)!.filter((entry) => entry !== gone)
    if (rest.length > 0) this.lists.set(path, rest)
    else this.lists.delete(path)
    return { kind: 'done', removed: nameOf(gone.version) }
  }

  edit(bucket: Bucket, key: string, versionId: string | undefined, edit: VersionEdit): EditOutcome {
    const found = this.find(bucket, key, versionId)
    if (!found) return { kind: 'no-version' }
    if (!isKept(found)) return { kind: 'delete-marker', marker: found.version }
    if (edit.what === 'retention' && isWeaker(edit, found.version.retention))
      return { kind: 'locked' }
    found.version = edited(found.version, edit)
    return { kind: 'done', version: found.version }
  }

  /** All versions of a bucket, in no order of keys. */
  listed(bucket: Bucket): { key: string; record: ListedVersion }[] {
    const prefix = `${bucket.name}/`
    return [...this.lists]
      .filter(([path]) => path.startsWith(prefix))
      .flatMap(([path, list]) =>
        list.map(({ version }, index) => ({
          key: path.slice(prefix.length),
          record: { version, isLatest: index === 0 },
        })),
      )
  }

  #mark(bucket: Bucket, key: string): DeleteOutcome {
    const replaced =
      bucket.settings?.versioning === 'suspended' ? this.find(bucket, key, 'null') : undefined
    const made: DeleteMarker = { deleteMarker: true, ...this.#name(bucket) }
    this.#push(bucket, key, { version: made })
    return { kind: 'done', made, ...(replaced ? { removed: nameOf(replaced.version) } : {}) }
  }

  #push(bucket: Bucket, key: string, entry: Entry): void {
    const path = `${bucket.name}/${key}`
    const older = this.lists.get(path) ?? []
    // There is one version at most that is called null.
    const kept = entry.version.versioned ? older : older.filter(({ version }) => version.versioned)
    this.lists.set(path, [entry, ...kept])
  }

  /** Like the log's own: 26 digits of base 32, newest first. */
  #name(bucket: Bucket): Pick<ObjectVersion, 'versionId' | 'versioned' | 'modifiedMs'> {
    const versionId = ((1n << 130n) - 4n * BigInt(++this.#serial)).toString(32)
    const versioned = bucket.settings?.versioning === 'enabled'
    return { versionId, ...(versioned ? { versioned } : {}), modifiedMs: STORE_TIME_MS }
  }

  #refuse(bucket: Bucket, key: string, conditions: WriteConditions): Refused | undefined {
    const newest = this.find(bucket, key)
    return refuse(conditions, isKept(newest) ? newest.version : undefined)
  }
}

/** Whether an entry is an object. */
export function isKept(entry: Entry | undefined): entry is Kept {
  return entry !== undefined && !isDeleteMarker(entry.version)
}

function refuse(
  { ifMatch, ifNoneMatch, ifMatchModified, ifMatchBytes }: WriteConditions,
  version: ObjectVersion | undefined,
): Refused | undefined {
  const matches = (etags: string[]) => etags.includes('*') || etags.includes(version?.etag ?? '-')
  const asksForOne = ifMatch ?? ifMatchModified ?? ifMatchBytes
  if (asksForOne !== undefined && !version) return { kind: 'missing' }
  if (ifMatch && !matches(ifMatch)) return { kind: 'condition-failed', condition: 'If-Match' }
  if (ifNoneMatch && version && matches(ifNoneMatch))
    return { kind: 'condition-failed', condition: 'If-None-Match' }
  const modified = Math.floor((version?.modifiedMs ?? 0) / 1000)
  if (ifMatchModified !== undefined && ifMatchModified !== modified)
    return { kind: 'condition-failed', condition: 'x-amz-if-match-last-modified-time' }
  if (ifMatchBytes !== undefined && ifMatchBytes !== version?.bytes)
    return { kind: 'condition-failed', condition: 'x-amz-if-match-size' }
  return undefined
}

function isCalled(version: AnyVersion, id: string): boolean {
  return version.versionId === id || shownVersionId(version) === id
}

function nameOf(version: AnyVersion) {
  const { versionId, versioned } = version
  return { versionId, ...(versioned ? { versioned } : {}), deleteMarker: isDeleteMarker(version) }
}

function isLocked(version: AnyVersion, bypass: true | undefined): boolean {
  if (isDeleteMarker(version)) return false
  const { legalHold, retention } = version
  if (legalHold) return true
  if (!retention || retention.untilMs <= STORE_TIME_MS) return false
  return retention.mode === 'COMPLIANCE' || !bypass
}

function edited(version: ObjectVersion, edit: VersionEdit): ObjectVersion {
  const { tags, retention, legalHold, ...bare } = version
  const changed = { tags, retention, legalHold }
  if (edit.what === 'tags') changed.tags = edit.tags.length === 0 ? undefined : edit.tags
  else if (edit.what === 'retention') changed.retention = edit.retention
  else changed.legalHold = edit.on
  return {
    ...bare,
    ...(changed.tags ? { tags: changed.tags } : {}),
    ...(changed.retention ? { retention: changed.retention } : {}),
    ...(changed.legalHold === undefined ? {} : { legalHold: changed.legalHold }),
  }
}

function isWeaker(
  { retention: next, bypass }: Extract<VersionEdit, { what: 'retention' }>,
  now: Retention | undefined,
): boolean {
  if (!now || now.untilMs <= STORE_TIME_MS) return false
  const holdsAsLong = next !== undefined && next.untilMs >= now.untilMs
  const holdsAsFast = next?.mode === now.mode || next?.mode === 'COMPLIANCE'
  if (holdsAsLong && holdsAsFast) return false
  return now.mode === 'COMPLIANCE' || !bypass
}
