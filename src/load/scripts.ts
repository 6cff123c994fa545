// What each client of a load does, request by request. A script knows no connection: it says what to send and hears what came.
import { kibibytes, mebibytes } from '../kit/bytes.ts'
import type { Answer } from './answer-reader.ts'
import { keyOf, type Load, type LoadName, ownerOf, ownObjects } from './loads.ts'
import type { Payload, Step } from './signer.ts'

/** A request, and what a right answer to it is. */
export interface Move {
  step: Step
  status: number
  /** Bytes that the body of the answer has to have; any when undefined. */
  bytes?: number
  keepsBody?: boolean
  /** What the answer adds to the amount that is counted. */
  amount(answer: Answer): number
  /** Throws Error when the answer is not what it has to be. */
  check?(answer: Answer): void
}

/** What one client does. */
export interface Script {
  /** Undefined when there is nothing left to do. */
  next(): Move | undefined
}

/** Who runs it, with what. */
export interface ScriptParts {
  load: Load
  bucket: string
  /** From 0. */
  client: number
  payloads: Payloads
  random: Draw
}

/** Whole numbers below a bound. */
export interface Draw {
  below(bound: number): number
}

/** Bodies of one length, and how to hash what is made on the way. */
export interface Payloads {
  next(): Payload
  of(text: string): Payload & { md5: string }
}

const RANGE_SHORT_BYTES = kibibytes(128)
const RANGE_LONG_BYTES = mebibytes(8)
const KEYS_OF_DELETE = 1_000
const KEYS_OF_PAGE = 1_000
const PARTS_OF_UPLOAD = 8

/** Below so many own objects a client of the mixed load writes instead of deleting. */
const MIXED_OBJECTS_MIN = 8

const SCRIPTS: { readonly [Name in LoadName]: (parts: ScriptParts) => Script } = {
  'put-4k': putNew,
  'put-10m': putNew,
  'get-4k': (parts) => forever(() => getWhole(parts, anyKey(parts), parts.load.objectBytes, 1)),
  'get-10m': (parts) => {
    const { objectBytes } = parts.load
    return forever(() => getWhole(parts, anyKey(parts), objectBytes, objectBytes))
  },
  head: (parts) =>
    forever(() => ({
      step: { method: 'HEAD', bucket: parts.bucket, key: anyKey(parts) },
      status: 200,
      amount: one,
    })),
  'ranges-128k': (parts) => forever(() => getRange(parts, RANGE_SHORT_BYTES, 1)),
  'ranges-8m': (parts) => forever(() => getRange(parts, RANGE_LONG_BYTES, RANGE_LONG_BYTES)),
  list: listOwn,
  delete: deleteOwn,
  multipart: uploadParts,
  mixed: mixOwn,
}

/** The script of one client. */
export function openScript(name: LoadName, parts: ScriptParts): Script {
  return SCRIPTS[name](parts)
}

/** What a client writes before time counts. */
export function openPreparation({ load, bucket, client, payloads }: ScriptParts): Script {
  const { from, to } = ownObjects(load, client)
  let at = from
  return {
    next: () => (at < to ? put(bucket, keyOf(client, at++), payloads.next(), 1) : undefined),
  }
}

function forever(next: () => Move): Script {
  return { next }
}

function one(): number {
  return 1
}

/** Of all objects that were written before. */
function anyKey({ load, random }: ScriptParts): string {
  const object = random.below(load.objects)
  return keyOf(ownerOf(load, object), object)
}

function put(bucket: string, key: string, body: Payload, amount: number): Move {
  return { step: { method: 'PUT', bucket, key, body }, status: 200, amount: () => amount }
}

function putNew({ bucket, client, payloads }: ScriptParts): Script {
  let written = 0
  return forever(() => {
    const body = payloads.next()
    const amount = body.bytes.length > kibibytes(64) ? body.bytes.length : 1
    return put(bucket, `new-${keyOf(client, written++)}`, body, amount)
  })
}

function getWhole(
  { bucket }: Pick<ScriptParts, 'bucket'>,
  key: string,
  bytes: number,
  amount: number,
): Move {
  return { step: { method: 'GET', bucket, key }, status: 200, bytes, amount: () => amount }
}

/** Begins anywhere, as readers of columns and archives do. */
function getRange(parts: ScriptParts, bytes: number, amount: number): Move {
  const from = parts.random.below(parts.load.objectBytes - bytes + 1)
  const headers = [['range', `bytes=${from}-${from + bytes - 1}`]] as const
  const step = { method: 'GET', bucket: parts.bucket, key: anyKey(parts), headers } as const
  return { step, status: 206, bytes, amount: () => amount }
}

/** Pages of the client's own keys, from the first to the last, again and again. */
function listOwn({ load, bucket, client }: ScriptParts): Script {
  const { from, to } = ownObjects(load, client)
  let token: string | undefined
  let seen = 0
  return forever(() => {
    const query = [
      ...(token === undefined ? [] : ([['continuation-token', token]] as const)),
      ...([
        ['list-type', '2'],
        ['max-keys', String(KEYS_OF_PAGE)],
        ['prefix', `${client}/`],
      ] as const),
    ]
    return {
      ...{ step: { method: 'GET', bucket, key: '', query }, status: 200, keepsBody: true },
      amount: ({ body }) => countOf(body!, '<Key>'),
      check: ({ body }) => {
        seen += countOf(body!, '<Key>')
        token = unescapeXml(between(body!, '<NextContinuationToken>', '<'))
        if (token !== undefined) return
        if (seen !== to - from) throw new Error(`${seen} keys were listed, not ${to - from}`)
        seen = 0
      },
    }
  })
}

function deleteOwn({ load, bucket, client, payloads }: ScriptParts): Script {
  const { from, to } = ownObjects(load, client)
  let at = from
  return {
    next: () => {
      if (at >= to) return undefined
      const keys: string[] = []
      for (; at < to && keys.length < KEYS_OF_DELETE; at += 1) keys.push(keyOf(client, at))
      return deleteKeys(bucket, keys, payloads)
    },
  }
}

/** One request that deletes many. */
export function deleteKeys(
  bucket: string,
  keys: readonly string[],
  { of }: Pick<Payloads, 'of'>,
): Move {
  const objects = keys.map((key) => `<Object><Key>${key}</Key></Object>`).join('')
  const body = of(
    `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`,
  )
  const headers = [
    ['content-md5', body.md5],
    ['content-type', 'application/xml'],
  ] as const
  return {
    ...{
      step: { method: 'POST', bucket, key: '', query: [['delete', '']], headers, body },
      status: 200,
      keepsBody: true,
    },
    amount: () => keys.length,
    check: ({ body }) => {
      const failed = countOf(body!, '<Error>')
      if (failed > 0) throw new Error(`${failed} of ${keys.length} keys were not deleted`)
    },
  }
}

function uploadParts({ bucket, client, payloads }: ScriptParts): Script {
  let uploads = 0
  let id = ''
  let etags: string[] = []
  const begin = (key: string): Move => ({
    ...{
      step: { method: 'POST', bucket, key, query: [['uploads', '']] },
      status: 200,
      keepsBody: true,
    },
    amount: () => 0,
    check: ({ body }) => {
      id = between(body!, '<UploadId>', '<') ?? ''
    },
  })
  const part = (key: string): Move => {
    const body = payloads.next()
    const query = [
      ['partNumber', String(etags.length + 1)],
      ['uploadId', id],
    ] as const
    return {
      ...{ step: { method: 'PUT', bucket, key, query, body }, status: 200 },
      amount: () => body.bytes.length,
      check: ({ etag }) => {
        etags.push(etag)
      },
    }
  }
  const complete = (key: string): Move => {
    const listed = etags.map(
      (etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
    )
    const body = payloads.of(
      `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed.join('')}</CompleteMultipartUpload>`,
    )
    return {
      ...{
        step: { method: 'POST', bucket, key, query: [['uploadId', id]], body },
        status: 200,
        keepsBody: true,
      },
      amount: () => 0,
      // 200 is sent before it is known how it ends.
      check: ({ body: told }) => {
        if (countOf(told!, '<Error>') > 0) throw new Error('an upload was not completed')
        id = ''
        etags = []
        uploads += 1
      },
    }
  }
  return forever(() => {
    const key = `upload-${keyOf(client, uploads)}`
    if (id === '') return begin(key)
    return etags.length < PARTS_OF_UPLOAD ? part(key) : complete(key)
  })
}

/** 45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE, each client of keys of its own: what is deleted nobody else reads. */
function mixOwn({ load, bucket, client, payloads, random }: ScriptParts): Script {
  const { objectBytes } = load
  const { from, to } = ownObjects(load, client)
  const keys = Array.from({ length: to - from }, (_, at) => keyOf(client, from + at))
  let written = to
  const some = (): string => keys[random.below(keys.length)]!
  return forever(() => {
    // Who has none begins with a write.
    const drawn = keys.length === 0 ? 75 : random.below(100)
    if (drawn < 45) return getWhole({ bucket }, some(), objectBytes, objectBytes)
    if (drawn < 75)
      return { step: { method: 'HEAD', bucket, key: some() }, status: 200, amount: () => 0 }
    if (drawn < 90 || keys.length < MIXED_OBJECTS_MIN) {
      const key = `new-${keyOf(client, written++)}`
      keys.push(key)
      return put(bucket, key, payloads.next(), objectBytes)
    }
    const [key = ''] = keys.splice(random.below(keys.length), 1)
    return { step: { method: 'DELETE', bucket, key }, status: 204, amount: () => 0 }
  })
}

function countOf(body: Buffer, mark: string): number {
  let count = 0
  for (let at = body.indexOf(mark); at >= 0; at = body.indexOf(mark, at + mark.length)) count += 1
  return count
}

/** What stands between two marks; undefined when the first is not there. */
function between(body: Buffer, before: string, after: string): string | undefined {
  const at = body.indexOf(before)
  if (at < 0) return undefined
  const from = at + before.length
  return body.toString('utf8', from, body.indexOf(after, from))
}

const ENTITIES: Record<string, string> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
}

function unescapeXml(text: string | undefined): string | undefined {
  return text?.replace(/&(amp|lt|gt|quot|apos);/g, (entity) => ENTITIES[entity]!)
}
