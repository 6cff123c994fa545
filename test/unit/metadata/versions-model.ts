// S3's rules of versions the obvious way: every key is a list of versions, newest first.
import type { Uid } from '../../../src/kit/uid.ts'
import type { ObjectScan } from '../../../src/metadata/contract.ts'
import type { Versioning } from '../../../src/metadata/records.ts'

/** What the twin knows of a version. Ids are the store's to give. */
export interface ModelVersion {
  id: string
  versioned: boolean
  marker: boolean
  etag: string
  bytes: number
  blobs: Uid[]
  held: boolean
}

/** One line of a listing. */
export interface ModelLine {
  key: string
  id: string
  isLatest: boolean
}

/** A bucket. */
export class VersionModel {
  readonly keys = new Map<string, ModelVersion[]>()
  versioning: Versioning = 'unversioned'

  versionsOf(key: string): ModelVersion[] {
    return this.keys.get(key) ?? []
  }

  /** The latest version when it is an object. */
  current(key: string): ModelVersion | undefined {
    const [latest] = this.versionsOf(key)
    return latest?.marker ? undefined : latest
  }

  named(key: string, name: string | undefined): ModelVersion | undefined {
    const versions = this.versionsOf(key)
    if (name === undefined) return versions[0]
    if (name === 'null') return versions.find(({ versioned }) => !versioned)
    return versions.find(({ id }) => id === name)
  }

  /** Whether a new version would have to take the place of one that is held. */
  isBlocked(key: string): boolean {
    return this.versioning !== 'enabled' && (this.named(key, 'null')?.held ?? false)
  }

  putOnTop(key: string, version: Omit<ModelVersion, 'versioned'>): void {
    const versioned = this.versioning === 'enabled'
    const kept = this.versionsOf(key).filter((old) => versioned || old.versioned)
    this.keys.set(key, [{ ...version, versioned }, ...kept])
  }

  remove(key: string, version: ModelVersion): void {
    this.keys.set(
      key,
      this.versionsOf(key).filter((other) => other !== version),
    )
  }

  /** Every version in the order of listings. */
  lines(): ModelLine[] {
    return [...this.keys.keys()]
      .sort(compareText)
      .flatMap((key) => this.versionsOf(key).map(({ id }, at) => ({ key, id, isLatest: at === 0 })))
  }

  /** Blobs that some version needs. */
  blobs(): Uid[] {
    return [...this.keys.values()].flat().flatMap(({ blobs }) => blobs)
  }
}

/** What is asked of a listing. */
export interface ModelScan extends Omit<ObjectScan, 'bucket'> {
  /** `''`: none of the versions of the key `after`. */
  afterVersionId: string
}

/** The page: roll up everything, drop what is at or before the marker, cut. */
export function pageOf(
  lines: readonly ModelLine[],
  asked: ModelScan,
): { names: string[]; more: boolean } {
  const names = lines
    .filter(({ key }) => key.startsWith(asked.prefix))
    .filter((line) => isAfter(line, asked))
    .map((line) => rollUp(line.key, asked) ?? nameLine(line))
  const distinct = [...new Set(names)]
  return { names: distinct.slice(0, asked.limit), more: distinct.length > asked.limit }
}

/** A line as pages are compared. */
export function nameLine({ key, id, isLatest }: ModelLine): string {
  return `${key} ${id} ${isLatest}`
}

function isAfter({ key, id }: ModelLine, asked: ModelScan): boolean {
  if (asked.after === '') return true
  if (asked.afterPrefix && key.startsWith(asked.after)) return false
  const rolled = rollUp(key, asked)
  const order = compareText(rolled ?? key, asked.after)
  if (order !== 0 || rolled !== undefined || asked.afterVersionId === '') return order > 0
  return id > asked.afterVersionId
}

function rollUp(key: string, { prefix, delimiter }: ModelScan): string | undefined {
  if (delimiter === '' || !key.startsWith(prefix)) return undefined
  const found = key.indexOf(delimiter, prefix.length)
  return found < 0 ? undefined : key.slice(0, found + delimiter.length)
}

function compareText(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}
