// A store over a link that knows but one thing: what it does with a body.
import type { Test } from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { BlobCache } from '../../../src/objects/blob-cache.ts'
import type { Body, Bucket, ObjectStore } from '../../../src/objects/object-store.ts'
import { Windows } from '../../../src/store-link/flow.ts'
import { linkStore } from '../../../src/store-link/linked-store.ts'
import { LinkServer, type ServedParts } from '../../../src/store-link/serve-link.ts'
import { socketPair } from './socket-pair.ts'

/** Its put() is `put`. */
export async function linkPut(
  t: Test,
  put: (request: { body: Body }) => Promise<unknown>,
  windows = new Windows(),
): Promise<ObjectStore> {
  const [near, far] = await socketPair(t)
  const nothing = async (): Promise<void> => {}
  const answering = (known: object): object =>
    new Proxy(known, { get: (has, name) => has[name as keyof typeof has] ?? nothing })
  const objects = answering({ listBuckets: () => [], put })
  const admin = answering({ drives: answering({}) })
  const objectNews = answering({ settled: () => undefined })
  const { clock } = realWorld()
  const told = { news: answering({}), objectNews, windows, log: silentLog, world: { clock } }
  const parts = { objects, admin, ...told }
  const credentials = { accessKeyId: 'KEY', secretAccessKey: 'secret' }
  new LinkServer(far, { ...parts, credentials } as unknown as ServedParts)
  const linked = await linkStore(near, { onEnd: () => {}, blobCache: new BlobCache(), clock })
  const where = { bucket: { id: 1 } as Bucket, key: 'k' }
  return { ...linked.objects, put: (request) => linked.objects.put({ ...where, ...request }) }
}
