// A mixed load with a memory: puts of every size, overwrites, deletes and multipart uploads, every outcome
// recorded so that afterwards each key can be held against what it may be.
import { type Content, contentOf, History } from './history.ts'
import type { S3Client, S3Response } from './s3.ts'
import type { Seeded } from './seeded.ts'

const SIZES = [0, 1, 100, 4_096, 60_000, 131_072, 131_073, 300_000, 1_500_000, 5_000_000] as const
const PART_BYTES = 5 * 1024 * 1024
const KEYS_PER_WORKER = 12

/** Writes to one bucket until it is stopped or the server goes away. */
export class MixedLoad {
  readonly history: History
  readonly #client: S3Client
  readonly #bucket: string
  readonly #random: Seeded
  /** Answers that a healthy store may not give. */
  readonly troubles: string[] = []
  acknowledged = 0
  #stopping = false

  constructor(client: S3Client, bucket: string, random: Seeded, history = new History()) {
    this.#client = client
    this.#bucket = bucket
    this.#random = random
    this.history = history
  }

  stop(): void {
    this.#stopping = true
  }

  /** After stop(): run() may be called again. */
  goOn(): void {
    this.#stopping = false
  }

  /** Runs `workers` side by side; each has its own keys. Ends after stop() or when connections break. */
  async run(workers: number): Promise<void> {
    await Promise.all(Array.from({ length: workers }, (_, worker) => this.#work(worker)))
  }

  async #work(worker: number): Promise<void> {
    while (!this.#stopping) {
      const key = `w${worker}/k${this.#random.below(KEYS_PER_WORKER)} é+`
      try {
        await this.#step(key)
      } catch {
        return // The connection broke: what this write did is open.
      }
    }
  }

  async #step(key: string): Promise<void> {
    const dice = this.#random.below(100)
    if (dice < 15) return this.#delete(key)
    if (dice < 22) return this.#multipart(key)
    if (dice < 40) return this.check(key)
    return this.#put(key)
  }

  async #put(key: string): Promise<void> {
    const bytes = this.#random.bytes(this.#random.pick(SIZES))
    await this.#write(key, contentOf(bytes), () => this.#client.put(this.#bucket, key, bytes))
  }

  async #delete(key: string): Promise<void> {
    await this.#write(key, 'absent', () => this.#client.delete(this.#bucket, key))
  }

  async #multipart(key: string): Promise<void> {
    const path = `/${this.#bucket}/${encodeURIComponent(key).replaceAll('%2F', '/')}`
    const created = await this.#client.send({ method: 'POST', path, query: { uploads: '' } })
    const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString())?.[1]
    if (!uploadId) return this.#note('create', key, created)
    const parts = [
      this.#random.bytes(PART_BYTES),
      this.#random.bytes(1 + this.#random.below(200_000)),
    ]
    const etags: string[] = []
    for (const [index, body] of parts.entries()) {
      const query = { partNumber: String(index + 1), uploadId }
      const sent = await this.#client.send({ method: 'PUT', path, query, body })
      if (sent.status !== 200) return this.#note('part', key, sent)
      etags.push(sent.headers.etag!)
    }
    const list = etags
      .map(
        (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
      )
      .join('')
    const body = Buffer.from(`<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`)
    await this.#write(key, contentOf(Buffer.concat(parts)), () =>
      this.#client.send({ method: 'POST', path, query: { uploadId }, body }),
    )
  }

  async #write(key: string, content: Content, send: () => Promise<S3Response>): Promise<void> {
    this.history.begin(key, content)
    const response = await send()
    if (response.status < 300) {
      this.history.acknowledge(key, content)
      this.acknowledged += 1
      return
    }
    // 4xx says that nothing was done; 5xx leaves it open.
    if (response.status < 500) this.history.refuse(key, content)
    this.#note('write', key, response)
  }

  /** Reads a key and notes it when that is not what it may be. */
  async check(key: string): Promise<void> {
    const response = await this.#client.get(this.#bucket, key)
    if (response.status !== 200 && response.status !== 404) return this.#note('read', key, response)
    const content = response.status === 404 ? 'absent' : contentOf(response.body)
    const wrong = this.history.observe(key, content)
    if (wrong) this.troubles.push(wrong)
  }

  /** Reads every key that was ever written, and holds the list against them. */
  async checkAll(): Promise<void> {
    for (const key of this.history.keys) {
      await this.check(key).catch((error) =>
        this.troubles.push(`read of ${key} broke off: ${error}`),
      )
    }
    const listed = new Set(await this.#client.listAll(this.#bucket))
    for (const key of this.history.keys) {
      const wanted = this.history.existence(key)
      if (wanted !== 'unknown' && listed.has(key) !== (wanted === 'present')) {
        this.troubles.push(`${key} is ${wanted}, but the list says otherwise`)
      }
      listed.delete(key)
    }
    for (const key of listed) this.troubles.push(`${key} is listed and was never written`)
  }

  #note(what: string, key: string, { status, body }: S3Response): void {
    this.troubles.push(`${what} of ${key}: ${status} ${body.toString('utf8', 0, 300)}`)
  }
}
