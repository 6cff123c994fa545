// Space returns: all that a store can hold is written, overwritten, deleted and aborted, and its buckets are dropped.
// Then drives hold no shard, and metadata no rows but those that say that there were buckets. Minutes of virtual time
// and a jump of eight days: .ci/run starts it, npm test does not.
import t from 'tap'
import { prepareDigests } from '../../src/digest/prepare.ts'
import { KeyKind } from '../../src/metadata/rows/keys.ts'
import type { Bucket, Upload } from '../../src/objects/object-store.ts'
import { bodyOf, etagOf, type Piece } from './bodies.ts'
import { SimMachine } from './machine.ts'
import { SimDrive } from './sim-drive.ts'
import { type Serving, SimStore } from './store.ts'
import { SimTime } from './time.ts'

const ATTRIBUTES = { headers: {}, userMetadata: {}, storageClass: 'STANDARD' }

/** None, in its row, copied, in segments, in files of their own. */
const SIZES = [0, 100, 9_000, 60_000, 300_000, 700_000]

/** The longest that anything is kept: results of completed uploads. */
const EIGHT_DAYS_MS = 8 * 24 * 60 * 60_000

/** A minute is how long a segment waits for readers, and between two rounds of forgetting. */
const SETTLE_MS = 100_000
const DEADLINE_MS = 4 * 60 * 60_000

const signal = new AbortController().signal

/** Writes a bucket full and empties it. */
class Tide {
  readonly #serving: Serving
  readonly #bucket: Bucket
  readonly #complain: (trouble: string) => void
  #pieces = 0

  constructor(serving: Serving, bucket: Bucket, complain: (trouble: string) => void) {
    this.#serving = serving
    this.#bucket = bucket
    this.#complain = complain
  }

  /** Every kind of row and shard. */
  async rise(): Promise<void> {
    for (const round of [1, 2]) {
      for (const bytes of SIZES) {
        await this.#put(`put/${bytes}`, bytes)
        await this.#annotate(`put/${bytes}`, round)
        await this.#copy(`put/${bytes}`, `copy/${bytes}`)
        await this.#append(`append/${bytes}`, bytes)
        await this.#uploads(bytes)
      }
    }
    for (const bytes of SIZES) await this.#delete(`put/${bytes}`)
    await this.#put(`put/${SIZES[1]}`, 60_000)
  }

  /** Nothing is left that a client could find, but for uploads that go with the bucket. */
  async fall(): Promise<void> {
    const { objects } = this.#serving
    const scan = { prefix: '', delimiter: '', after: '', limit: 1000 }
    const uploads = await objects.listUploads({
      ...{ bucket: this.#bucket, ...scan },
      afterUploadId: '',
    })
    for (const [at, entry] of uploads.entries.entries()) {
      if (entry.kind !== 'entry' || at % 2 === 0) continue
      const aborted = await objects.abortUpload(this.#bucket, entry.key, entry.record.uploadId)
      this.#expect('abort', aborted.kind, 'done')
    }
    const versions = await objects.listVersions({
      ...{ bucket: this.#bucket, ...scan },
      afterVersionId: '',
    })
    for (const entry of versions.entries) {
      if (entry.kind !== 'entry') continue
      const { versionId, versioned } = entry.record.version
      await this.#delete(entry.key, versioned ? versionId : 'null')
    }
    const dropped = await objects.deleteBucket(this.#bucket.name)
    this.#expect('the bucket', dropped.kind, 'deleted')
  }

  async #put(key: string, bytes: number): Promise<void> {
    const { kind } = await this.#serving.objects.put({
      ...{ bucket: this.#bucket, key, attributes: ATTRIBUTES, conditions: {}, signal },
      body: bodyOf(this.#piece(bytes)),
    })
    this.#expect(`put ${key}`, kind, 'done')
  }

  /** Two annotations, one of which is gone again. */
  async #annotate(key: string, round: number): Promise<void> {
    const { objects } = this.#serving
    for (const [name, bytes] of [
      ['kept', 9_000],
      [`gone${round}`, 60_000],
    ] as const) {
      const found = await objects.find(this.#bucket, key)
      if (found.kind !== 'found') return this.#complain(`${key} is ${found.kind}`)
      const { version } = found.object
      const body = bodyOf(this.#piece(bytes))
      const set = await objects.annotate({
        ...{ bucket: this.#bucket, key, version, name, body, signal },
      })
      this.#expect(`annotate ${key}`, set.kind, 'done')
    }
    const removed = await objects.deleteAnnotation(this.#bucket, key, { name: `gone${round}` })
    this.#expect(`an annotation of ${key}`, removed.kind, 'done')
  }

  async #copy(from: string, to: string): Promise<void> {
    const { objects } = this.#serving
    const found = await objects.find(this.#bucket, from)
    if (found.kind !== 'found') return this.#complain(`${from} is ${found.kind}`)
    const { bytes, etag } = found.object.version
    const chunks =
      bytes === 0 ? nothing() : found.object.read({ first: 0, last: bytes - 1 }, { signal })
    const { kind } = await objects.put({
      ...{ bucket: this.#bucket, key: to, attributes: ATTRIBUTES, conditions: {}, signal },
      body: { bytes, chunks, finish: () => ({ md5: etag }) },
      annotationsOf: found.object,
    })
    this.#expect(`copy ${from}`, kind, 'done')
  }

  async #append(key: string, bytes: number): Promise<void> {
    const { objects } = this.#serving
    for (let count = 0; count < 3; count += 1) {
      const found = await objects.find(this.#bucket, key)
      const offset = found.kind === 'found' ? found.object.version.bytes : 0
      const { kind } = await objects.append({
        ...{ bucket: this.#bucket, key, offset, attributes: ATTRIBUTES, conditions: {}, signal },
        body: bodyOf(this.#piece(bytes || 100)),
      })
      this.#expect(`append ${key}`, kind, 'done')
    }
  }

  /** One that is completed with one of its parts, one that is aborted, two that are left. */
  async #uploads(bytes: number): Promise<void> {
    const { objects } = this.#serving
    const done = await this.#upload(`done/${bytes}`, bytes)
    const completed = await objects.completeUpload({
      ...{ bucket: this.#bucket, key: `done/${bytes}`, uploadId: done.upload.uploadId },
      ...{ parts: [{ number: 2, etag: etagOf(done.last) }], conditions: {}, claimed: {} },
    })
    this.#expect(`complete ${bytes}`, completed.kind, 'done')
    const { upload } = await this.#upload(`aborted/${bytes}`, bytes)
    const aborted = await objects.abortUpload(this.#bucket, `aborted/${bytes}`, upload.uploadId)
    this.#expect(`abort ${bytes}`, aborted.kind, 'done')
    await this.#upload(`left/${bytes}`, bytes)
    await this.#upload(`left/${bytes}`, bytes)
  }

  /** Three parts, and the second of them anew. */
  async #upload(key: string, bytes: number): Promise<{ upload: Upload; last: Piece }> {
    const { objects } = this.#serving
    const upload = await objects.createUpload(this.#bucket, key, ATTRIBUTES)
    let last = this.#piece(bytes)
    for (const number of [1, 2, 3, 2]) {
      last = this.#piece(bytes)
      const { kind } = await objects.putPart({
        ...{ bucket: this.#bucket, key, upload, number, signal },
        body: bodyOf(last),
      })
      this.#expect(`part ${number} of ${key}`, kind, 'done')
    }
    return { upload, last }
  }

  async #delete(key: string, versionId?: string): Promise<void> {
    const { kind } = await this.#serving.objects.delete(this.#bucket, key, {
      ...(versionId === undefined ? {} : { versionId }),
      conditions: {},
    })
    this.#expect(`delete ${key}`, kind, 'done')
  }

  #piece(bytes: number): Piece {
    this.#pieces += 1
    return { number: this.#pieces, bytes }
  }

  #expect(what: string, actual: string, wanted: string): void {
    if (actual !== wanted) this.#complain(`${what}: ${actual}`)
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

/** A store on a machine where nothing breaks. */
async function startQuiet(complain: (trouble: string) => void) {
  const time = new SimTime()
  const drives = [1, 2, 3, 4].map((id) => new SimDrive(id))
  for (const drive of drives) await drive.mount()
  const latencies = { usual: 0.1, sync: 1, slowOneIn: 1_000_000 }
  const machine = new SimMachine(1, { time, drives, latencies, say: () => {} })
  const code = { dataCount: 2, parityCount: 1 }
  const store = new SimStore(machine, { drives: 4, code, garbageGraceMs: 500 }, complain)
  return { time, machine, store, drives }
}

/** Files that hold shards, and how many rows of which kinds there are in the metadata of the drive. */
function look(drive: SimDrive): { files: string[]; rows: Map<number, number> } {
  const { disk, path } = drive
  const files = [...disk.files(`${path}/seg`), ...disk.files(`${path}/big`)]
  const rows = new Map<number, number>()
  for (const { key } of drive.levelAt(`${path}/meta.db`).rows) {
    if (key.readUInt16BE(0) >= 0xff00) continue
    rows.set(key[2]!, (rows.get(key[2]!) ?? 0) + 1)
  }
  return { files, rows }
}

const KINDS = new Map<number, string>(Object.entries(KeyKind).map(([name, kind]) => [kind, name]))

t.test('what is deleted leaves nothing behind', { timeout: 600_000 }, async (t) => {
  await prepareDigests()
  const complaints: string[] = []
  const { time, machine, store, drives } = await startQuiet((trouble) => complaints.push(trouble))
  const seen = { files: 0, kinds: new Set<string>() }
  const run = async (): Promise<void> => {
    const serving = (await store.start())!
    const tides: Tide[] = []
    for (const [name, settings] of [
      ['plain', {}],
      ['versioned', { versioning: 'enabled' as const }],
    ] as const) {
      const { bucket } = await serving.objects.createBucket(name, 'us-east-1', settings)
      tides.push(new Tide(serving, bucket, (trouble) => complaints.push(`${name}: ${trouble}`)))
    }
    for (const tide of tides) await tide.rise()
    for (const drive of drives) {
      const { files, rows } = look(drive)
      seen.files += files.length
      for (const kind of rows.keys()) seen.kinds.add(KINDS.get(kind)!)
    }
    for (const tide of tides) await tide.fall()
    await time.sleep(SETTLE_MS)
    machine.clockOffsetMs += EIGHT_DAYS_MS
    await time.sleep(SETTLE_MS)
    await store.stop()
  }
  await time.drive(run(), DEADLINE_MS)
  t.comment(`${time.ticks} events, ${Math.round(time.nowMs)} ms`)
  t.same(complaints, [])
  t.ok(seen.files > 100, `${seen.files} files`)
  t.comment([...seen.kinds].sort().join(' '))
  for (const drive of drives) {
    const { files, rows } = look(drive)
    t.same(files, [], `drive ${drive.id} holds no shard`)
    for (const [kind, count] of rows) {
      t.match(KINDS.get(kind), /^(Bucket|Clock)$/, `a row of drive ${drive.id}`)
      t.ok(count <= 4, `${count} rows of kind ${KINDS.get(kind)}`)
    }
  }
})
