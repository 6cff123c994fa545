// How the object room speaks with metadata partitions: by key, with the newest revision of the bucket.
import { newUid, type Uid } from '../kit/uid.ts'
import type { AnswerTo, Command, ReachablePartition } from '../metadata/contract.ts'
import type { BucketRef } from '../metadata/records.ts'
import { WaitingTime } from '../metadata/waiting-time.ts'
import type { Route } from '../placement/router.ts'
import { type Buckets, refOf } from './buckets.ts'
import { type Bucket, BucketGone } from './object-store.ts'
import type { StoreParts } from './store-parts.ts'

/** How often a command is sent again because its bucket was changed or deleted meanwhile. */
const BUCKET_RETRIES = 3

/** What is added to every command. */
interface Envelope {
  commandId: Uid
  bucket: BucketRef
  key: string
}

/** Commands and questions about keys. */
export class MetadataClient {
  readonly #parts: StoreParts
  readonly #buckets: Buckets
  readonly #time: WaitingTime | undefined

  /** `time`: of the request that asks all of it; without it every call has its own. */
  constructor(parts: StoreParts, buckets: Buckets, time?: WaitingTime) {
    this.#parts = parts
    this.#buckets = buckets
    this.#time = time
  }

  get partitions(): readonly ReachablePartition[] {
    return this.#parts.router.partitions
  }

  /** Where a key belongs. */
  route(bucket: Bucket, key: string): Route {
    return this.#parts.router.route(bucket.id, key)
  }

  /** A partition, as the request asks it. */
  inTime(metadata: ReachablePartition, time = this.#time): ReachablePartition {
    return time === undefined ? metadata : (metadata.within?.(time) ?? metadata)
  }

  /** Sends a command under one id; BucketGone when its bucket is really deleted. */
  commit<C extends Command & { key: string }>(
    bucket: Bucket,
    key: string,
    make: (envelope: Envelope) => C,
  ): Promise<AnswerTo<C>> {
    const { metadata } = this.route(bucket, key)
    return this.commitIn(metadata, bucket, ({ commandId, bucket: ref }) =>
      make({ commandId, bucket: ref, key }),
    )
  }

  /** The same, for a command to a partition that has all of its keys. */
  commitIn<C extends Command>(
    metadata: ReachablePartition,
    bucket: Bucket,
    make: (envelope: Omit<Envelope, 'key'>) => C,
  ): Promise<AnswerTo<C>> {
    const commandId = newUid(this.#parts.world)
    let isFirst = true
    return this.ask(metadata, bucket, async (partition, ref) => {
      const sent = partition.commit(make({ commandId, bucket: ref }), { isFirst })
      isFirst = false
      const answer = await sent
      return answer.kind === 'bucket-gone' ? 'bucket-gone' : answer
    })
  }

  /** Asks again with the newest revision while the registry still has the bucket. */
  async ask<Answer>(
    metadata: ReachablePartition,
    bucket: Bucket,
    question: (partition: ReachablePartition, ref: BucketRef) => Promise<Answer | 'bucket-gone'>,
  ): Promise<Answer> {
    let time = this.#time
    // Where nobody has to be found who answers, hardly any question has to be asked again: it needs no time of its own.
    if (metadata.within !== undefined) time ??= new WaitingTime(this.#parts.world.clock)
    const partition = this.inTime(metadata, time)
    let current: Bucket | undefined = bucket
    for (let attempt = 0; current && attempt < BUCKET_RETRIES; attempt += 1) {
      const answer = await question(partition, refOf(current))
      if (answer !== 'bucket-gone') return answer
      time ??= new WaitingTime(this.#parts.world.clock)
      current = await this.#buckets.settled(current, time)
    }
    throw new BucketGone(`bucket ${bucket.name} is gone`)
  }
}
