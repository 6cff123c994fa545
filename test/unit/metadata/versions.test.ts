// Random lives of a few keys against the obvious model of S3's versions: what is found, listed, referenced and garbage.
import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Uid } from '../../../src/kit/uid.ts'
import { type AnyVersion, isDeleteMarker } from '../../../src/metadata/records.ts'
import { decodeHeadRow, type Head } from '../../../src/metadata/rows/head-row.ts'
import { KeyKind, keyOfHead, keyOfVersion } from '../../../src/metadata/rows/keys.ts'
import { decodeManifestRow } from '../../../src/metadata/rows/manifest-row.ts'
import { decodeVersionRow } from '../../../src/metadata/rows/version-row.ts'
import { type Fixture, listed, MIB, openFixture } from './partition-fixture.ts'
import { type ModelVersion, nameLine, pageOf, VersionModel } from './versions-model.ts'

const SEED = 20_251_121
const FOREVER = Number.MAX_SAFE_INTEGER
const UNKNOWN_ID = '7v9jhho0000000004hj5aarc8k'

// Two keys have most of the life, so that theirs is a long one.
const key = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'a/1') },
  { weight: 1, arbitrary: fc.constantFrom('a\0', 'a/2', 'b', '\u{10ffff}') },
)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('put' as const), key, bytes: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('put-new' as const), key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('remove' as const), key, pick: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('complete' as const),
      key,
      parts: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('append' as const), key, bytes: fc.nat(2) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('hold' as const),
      key,
      pick: fc.nat(6),
      on: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('versioning' as const),
      to: fc.constantFrom('enabled' as const, 'suspended' as const),
    }),
  },
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never
const asked = fc.record({
  prefix: fc.constantFrom('', '', 'a', 'a/', 'b'),
  delimiter: fc.constantFrom('', '', '/', '\0'),
  pick: fc.nat(30),
  marker: fc.constantFrom('none', 'key', 'id', 'null', 'prefix'),
  limit: fc.integer({ min: 0, max: 7 }),
})

t.test('versions are what the model says', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.oneof(fc.constant(0), fc.nat(40)),
      fc.array(asked, { minLength: 4, maxLength: 4 }),
      async (steps, versionedFrom, pages) => {
        const life = new Life(await openFixture())
        for (const [at, one] of steps.entries()) {
          // Long enough without versions for objects to grow.
          if (one.do === 'versioning' && at < versionedFrom) continue
          await life.run(one)
        }
        await life.checkFinds()
        for (const page of pages) await life.checkPage(page)
        await life.checkObjects()
        life.checkHeads()
        await life.checkBlobs()
      },
    ),
    { seed: SEED, numRuns: 250 },
  )
})

/** A store and its model, changed alike. */
class Life {
  readonly #fixture: Fixture
  readonly #model = new VersionModel()
  readonly #everyBlob: Uid[] = []
  #etags = 0

  constructor(fixture: Fixture) {
    this.#fixture = fixture
  }

  async run(one: Step): Promise<void> {
    const { store } = this.#fixture
    this.#fixture.clock.ms += 1
    switch (one.do) {
      case 'put':
        return await this.#put(one.key, one.bytes)
      case 'put-new':
        return await this.#put(one.key, 1, true)
      case 'delete':
        return await this.#delete(one.key)
      case 'remove':
        return await this.#remove(one.key, one.pick)
      case 'complete':
        return await this.#complete(one.key, one.parts)
      case 'append':
        return await this.#append(one.key, one.bytes)
      case 'hold':
        return await this.#hold(one.key, one.pick, one.on)
      case 'versioning':
        this.#model.versioning = one.to
        store.setVersioning(one.to)
    }
  }

  async #put(key: string, bytes: number, isNew = false): Promise<void> {
    const { store } = this.#fixture
    const version = store.version(this.#etag(), bytes)
    const more = {
      version,
      commandId: store.uid(),
      conditions: isNew ? { ifNoneMatch: ['*'] } : {},
    }
    const answer = await store.put(key, '', more)
    if (isNew && this.#model.current(key)) {
      deepStrictEqual(answer, { kind: 'condition-failed', condition: 'If-None-Match' })
    } else if (this.#model.isBlocked(key)) {
      deepStrictEqual(answer, { kind: 'locked' })
    } else {
      ok(answer.kind === 'done')
      this.#note(key, answer.version, version.blob ? [version.blob.uid] : [])
      deepStrictEqual(await store.put(key, '', more), answer, 'a repeated put')
    }
  }

  async #delete(key: string): Promise<void> {
    const { store } = this.#fixture
    const commandId = store.uid()
    const current = this.#model.current(key)
    const answer = await store.delete(key, {}, commandId)
    if (this.#model.isBlocked(key)) return deepStrictEqual(answer, { kind: 'locked' })
    ok(answer.kind === 'done')
    if (this.#model.versioning !== 'unversioned') {
      ok(answer.made && !answer.removed)
      this.#note(key, answer.made, [])
    } else if (current) {
      deepStrictEqual(answer.removed, { versionId: current.id, deleteMarker: false })
      this.#model.remove(key, current)
    } else {
      deepStrictEqual(answer, { kind: 'done' })
    }
    deepStrictEqual(await store.delete(key, {}, commandId), answer, 'a repeated delete')
  }

  async #remove(key: string, pick: number): Promise<void> {
    const { store } = this.#fixture
    const name = this.#pickName(key, pick)
    const found = this.#model.named(key, name)
    const commandId = store.uid()
    const answer = await store.remove(key, name, { commandId })
    if (!found) return deepStrictEqual(answer, { kind: 'done' })
    if (found.held) return deepStrictEqual(answer, { kind: 'locked' })
    const { id, versioned, marker } = found
    const removed = { versionId: id, ...(versioned ? { versioned } : {}), deleteMarker: marker }
    deepStrictEqual(answer, { kind: 'done', removed })
    this.#model.remove(key, found)
    deepStrictEqual(await store.remove(key, name, { commandId }), answer, 'a repeated removal')
  }

  async #complete(key: string, count: number): Promise<void> {
    const { store } = this.#fixture
    const uploadId = await store.create(key)
    const parts = Array.from({ length: count }, (_, at) => store.part(2 * at + 1, 5 * MIB))
    for (const part of parts) await store.putPart(key, uploadId, part)
    const answer = await store.complete(key, uploadId, parts.map(listed))
    const blobs = parts.map(({ blob }) => blob!.uid)
    if (this.#model.isBlocked(key)) {
      deepStrictEqual(answer, { kind: 'locked' })
      this.#everyBlob.push(...blobs)
      deepStrictEqual(await store.abort(key, uploadId), { kind: 'done' })
      return
    }
    ok(answer.kind === 'done')
    this.#note(key, answer.version, blobs)
    deepStrictEqual(await store.complete(key, uploadId, parts.map(listed)), answer, 'repeated')
  }

  async #append(key: string, bytes: number): Promise<void> {
    const { store } = this.#fixture
    if (this.#model.versioning !== 'unversioned') return
    const current = this.#model.current(key)
    const commandId = store.uid()
    const blob = bytes > 0 ? { blob: store.blob(bytes) } : {}
    const more = { etag: this.#etag(), commandId, ...blob }
    const answer = await store.append(key, current?.id ?? UNKNOWN_ID, bytes, more)
    if (!current) return deepStrictEqual(answer, { kind: 'changed' })
    if (current.held) return deepStrictEqual(answer, { kind: 'locked' })
    ok(answer.kind === 'done')
    const own = more.blob ? [more.blob.uid] : []
    this.#everyBlob.push(...own)
    this.#model.remove(key, current)
    const grown = {
      etag: more.etag,
      bytes: current.bytes + bytes,
      blobs: [...current.blobs, ...own],
    }
    this.#model.putOnTop(key, { ...current, ...grown, id: answer.version.versionId })
    const again = await store.append(key, current.id, bytes, more)
    deepStrictEqual(again, answer, 'a repeated append')
  }

  async #hold(key: string, pick: number, on: boolean): Promise<void> {
    const { store } = this.#fixture
    const name = pick === 0 ? undefined : this.#pickName(key, pick)
    const found = this.#model.named(key, name)
    const named = name === undefined ? {} : { versionId: name }
    const more = { ...named, commandId: store.uid() }
    const answer = await store.edit(key, { what: 'legal-hold', on }, more)
    if (!found) return deepStrictEqual(answer, { kind: 'no-version' })
    if (found.marker) return deepStrictEqual(answer.kind, 'delete-marker')
    ok(answer.kind === 'done')
    deepStrictEqual(answer.version.legalHold ?? false, on)
    found.held = on
    const again = await store.edit(key, { what: 'legal-hold', on }, more)
    deepStrictEqual(again, answer, 'a repeated edit')
  }

  /** Every version by its id, `null`, the latest one, and one that never was. */
  async checkFinds(): Promise<void> {
    const { store } = this.#fixture
    for (const key of [...this.#model.keys.keys(), 'never']) {
      const ids = this.#model.versionsOf(key).map(({ id }) => id)
      for (const name of [undefined, 'null', UNKNOWN_ID, 'not an id', ...ids]) {
        const found = await store.get(key, name)
        ok(found !== 'bucket-gone')
        deepStrictEqual(found && summary(found), expected(this.#model.named(key, name)), name)
      }
    }
  }

  async checkPage({
    pick,
    marker,
    ...shape
  }: typeof asked extends fc.Arbitrary<infer A> ? A : never) {
    const { store, partition } = this.#fixture
    const lines = this.#model.lines()
    const line = lines[pick % Math.max(1, lines.length)]
    const names = line ? { after: line.key, afterPrefix: false } : { after: '', afterPrefix: false }
    const scan = { ...shape, ...names, afterVersionId: '' }
    if (marker === 'none') scan.after = ''
    if (marker === 'prefix')
      Object.assign(scan, { after: [...scan.after][0] ?? '', afterPrefix: true })
    if (marker === 'id') scan.afterVersionId = line?.id ?? ''
    if (marker === 'null') scan.afterVersionId = 'null'
    if (scan.after === '') scan.afterPrefix = false
    const page = await partition.scanVersions({ bucket: store.bucket, ...scan })
    ok(page !== 'bucket-gone')
    const names2 = page.entries.map((entry) => {
      if (entry.kind === 'prefix') return entry.prefix
      const { version, isLatest } = entry.record
      deepStrictEqual(summary(version), expected(this.#model.named(entry.key, version.versionId)))
      return nameLine({ key: entry.key, id: version.versionId, isLatest })
    })
    // A `null` version that is not there leaves all of its key to be listed.
    const nullId = this.#model.named(scan.after, 'null')?.id ?? '0'
    const afterVersionId = marker === 'null' ? nullId : scan.afterVersionId
    deepStrictEqual({ names: names2, more: page.more }, pageOf(lines, { ...scan, afterVersionId }))
  }

  /** Listings of objects see current objects and nothing else. */
  async checkObjects(): Promise<void> {
    const keys = [...this.#model.keys.keys()].filter((key) => this.#model.current(key))
    deepStrictEqual((await this.#fixture.store.keys()).sort(), keys.sort())
  }

  /** One row says what is latest, and it knows what lies below. */
  checkHeads(): void {
    const { log } = this.#fixture
    const heads = new Map<string, Head>()
    for (const { key, value } of [...log.ofKind(KeyKind.Current), ...log.ofKind(KeyKind.Marker)]) {
      const name = keyOfHead(key).toString()
      ok(!heads.has(name), 'one row is the latest')
      const head = decodeHeadRow(value)
      deepStrictEqual(isDeleteMarker(head.version), key[0] === KeyKind.Marker)
      heads.set(name, head)
    }
    const below = new Map<string, AnyVersion[]>()
    for (const { key, value } of log.ofKind(KeyKind.Version)) {
      const name = keyOfVersion(key).toString()
      below.set(name, [...(below.get(name) ?? []), decodeVersionRow(value)])
    }
    const names = [...this.#model.keys].filter(([, all]) => all.length > 0).map(([name]) => name)
    deepStrictEqual([...heads.keys()].sort(), names.sort())
    for (const [name, versions] of below) {
      ok(heads.get(name)?.older, 'older versions lie below a latest one that knows of them')
      const ids = [heads.get(name)!.version, ...versions].map(({ versionId }) => versionId)
      deepStrictEqual(ids, [...ids].sort(), 'newest first')
    }
    for (const [name, head] of heads) {
      const nulls = (below.get(name) ?? []).filter(({ versioned }) => !versioned)
      deepStrictEqual(head.nullVersionId, nulls[0]?.versionId)
      ok(nulls.length + (head.version.versioned ? 0 : 1) <= 1, 'one null version')
    }
  }

  /** Every blob that was committed is referenced once, or garbage once. */
  async checkBlobs(): Promise<void> {
    const { log, partition } = this.#fixture
    const referenced: Uid[] = []
    for (const kind of [KeyKind.Current, KeyKind.Version]) {
      for (const { value } of log.ofKind(kind)) {
        const version = decodeVersionRow(value)
        if (isDeleteMarker(version)) continue
        const { blob, manifest } = version
        if (blob) referenced.push(blob.uid)
        if (!manifest) continue
        const parts = await partition.getManifest(manifest.uid)
        deepStrictEqual(parts.length, manifest.partCount)
        deepStrictEqual(
          parts.reduce((sum, part) => sum + part.bytes, 0),
          version.bytes,
        )
        referenced.push(...parts.flatMap((part) => (part.blob ? [part.blob.uid] : [])))
      }
    }
    deepStrictEqual(referenced.sort(), this.#model.blobs().sort())
    const garbage = (await partition.dueGarbage(FOREVER, 10_000)).map(({ blob }) => blob.uid)
    deepStrictEqual([...referenced, ...garbage].sort(), this.#everyBlob.sort())
    ok(log.ofKind(KeyKind.Manifest).every(({ value }) => decodeManifestRow(value).length > 0))
  }

  #note(key: string, version: AnyVersion, blobs: Uid[]): void {
    const { versionId: id } = version
    const marker = isDeleteMarker(version)
    const { etag, bytes } = marker ? { etag: '', bytes: 0 } : version
    this.#everyBlob.push(...blobs)
    this.#model.putOnTop(key, { id, marker, etag, bytes, blobs, held: false })
  }

  #pickName(key: string, pick: number): string {
    if (pick === 1) return 'null'
    return this.#model.versionsOf(key)[pick - 2]?.id ?? UNKNOWN_ID
  }

  #etag(): string {
    this.#etags += 1
    return `e${this.#etags}`
  }
}

function summary(version: AnyVersion): unknown {
  const { versionId: id, versioned = false } = version
  if (isDeleteMarker(version))
    return { id, versioned, marker: true, etag: '', bytes: 0, held: false }
  const { etag, bytes, legalHold: held = false } = version
  return { id, versioned, marker: false, etag, bytes, held }
}

function expected(version: ModelVersion | undefined): unknown {
  if (!version) return undefined
  const { blobs: _, ...rest } = version
  return { ...rest }
}
