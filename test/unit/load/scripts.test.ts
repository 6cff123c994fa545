// What clients of loads send, against a bucket in memory that answers as S3 does.
import t from 'tap'
import type { Answer } from '../../../src/load/answer-reader.ts'
import {
  LOAD_NAMES,
  LOADS,
  type LoadName,
  loadOf,
  ownerOf,
  ownObjects,
  parseLoads,
} from '../../../src/load/loads.ts'
import { checkAnswer } from '../../../src/load/run-clients.ts'
import {
  type Move,
  openPreparation,
  openScript,
  type Payloads,
  type ScriptParts,
} from '../../../src/load/scripts.ts'
import { Seeded } from '../../support/seeded.ts'

const SMALL = { bytes: new Uint8Array(65_536), sha256: 'x' }
const payloads: Payloads = {
  next: () => SMALL,
  of: (text) => ({ bytes: Buffer.from(text), sha256: 'x', md5: 'x' }),
}

/** Answers what a bucket with these keys answers. */
class Bucket {
  readonly keys = new Set<string>()
  readonly #parts = new Map<string, number>()

  answer({ step, bytes = 0 }: Move, load: LoadName): Answer {
    const { method, key, headers = [] } = step
    const query = new Map(step.query)
    const isKnown = this.keys.has(key)
    if (key === '') return this.#ofBucket(step)
    if (query.has('uploads')) return made(200, '<UploadId>u1</UploadId>')
    if (query.has('uploadId')) return this.#ofUpload(step, query)
    if (method === 'PUT') this.keys.add(key)
    if (method === 'DELETE') this.keys.delete(key)
    if (method === 'PUT') return made(200)
    if (!isKnown) return made(404, '<Error/>')
    if (method === 'DELETE') return made(204)
    const [, range] = headers.find(([name]) => name === 'range') ?? []
    if (method === 'HEAD') return made(200)
    const [from = 0, to = LOADS[load].objectBytes - 1] = range?.match(/\d+/g)?.map(Number) ?? []
    t.ok(to < LOADS[load].objectBytes, 'no range goes beyond its object')
    return { ...made(range ? 206 : 200), bytes: to - from + 1 || bytes }
  }

  #ofBucket({ query = [], body }: Move['step']): Answer {
    const asked = new Map(query)
    if (asked.has('delete')) {
      const text = Buffer.from(body!.bytes).toString()
      for (const [, key = ''] of text.matchAll(/<Key>([^<]*)</g)) this.keys.delete(key)
      return made(200, '<DeleteResult/>')
    }
    const all = [...this.keys].filter((key) => key.startsWith(asked.get('prefix')!)).sort()
    const after = all.filter((key) => key > (asked.get('continuation-token') ?? ''))
    const page = after.slice(0, Number(asked.get('max-keys')))
    const more = after.length > page.length
    const token = more ? `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>` : ''
    return made(200, page.map((key) => `<Key>${key}</Key>`).join('') + token)
  }

  #ofUpload({ method, key, body }: Move['step'], query: Map<string, string>): Answer {
    t.equal(query.get('uploadId'), 'u1')
    if (method === 'PUT') {
      this.#parts.set(key, Number(query.get('partNumber')))
      return { ...made(200), etag: '"e"' }
    }
    const listed = Buffer.from(body!.bytes)
      .toString()
      .match(/<Part>/g)?.length
    t.equal(listed, this.#parts.get(key), 'every part is named')
    this.keys.add(key)
    return made(200, '<CompleteMultipartUploadResult/>')
  }
}

function made(status: number, text?: string): Answer {
  const body = text === undefined ? undefined : Buffer.from(text)
  return { status, etag: '', bytes: body?.length ?? 0, body, closes: false }
}

/** As many clients as the load has, and so many that some have no object. */
const RUNS = LOAD_NAMES.flatMap((load) => [
  { load, of: loadOf(load) },
  { load, of: loadOf(load, 1_100) },
])

for (const { load, of } of RUNS) {
  t.test(`${load} by ${of.clients}`, async (t) => {
    const bucket = new Bucket()
    const clients = Array.from({ length: of.clients }, (_, client) => ({
      ...{ load: of, bucket: 'b', client, payloads, random: new Seeded(client + 1) },
    }))
    for (const parts of clients) {
      const preparing = openPreparation(parts)
      for (let move = preparing.next(); move; move = preparing.next()) bucket.answer(move, load)
    }
    t.equal(bucket.keys.size, LOADS[load].objects)
    let amount = 0
    for (const parts of clients) {
      const script = openScript(load, parts)
      for (let count = 0; count < (of.clients > 100 ? 5 : 200); count += 1) {
        const move = script.next()
        if (move === undefined) break
        const answer = bucket.answer(move, load)
        checkAnswer(move, answer)
        amount += move.amount(answer)
      }
    }
    t.ok(amount > 0)
    if (load === 'delete') t.same([amount, bucket.keys.size], [20_000, 0])
  })
}

t.test('what is answered wrongly is an error', async (t) => {
  const partsOf = (load: LoadName): ScriptParts => ({
    ...{ load: loadOf(load), bucket: 'b', client: 0, payloads, random: new Seeded(1) },
  })
  const get = openScript('get-4k', partsOf('get-4k')).next()!
  t.throws(() => checkAnswer(get, made(404, '<Error/>')), /answered with 404 <Error\/>/)
  t.throws(() => checkAnswer(get, { ...made(200), bytes: 4_095 }), /4095 bytes, not 4096/)
  const list = openScript('list', partsOf('list')).next()!
  t.throws(() => checkAnswer(list, made(200, '<Key>1</Key>')), /1 keys were listed, not 2500/)
  const remove = openScript('delete', partsOf('delete')).next()!
  t.throws(() => checkAnswer(remove, made(200, '<Error></Error>')), /1 of 1000 keys/)
})

t.test('every object has one owner', async (t) => {
  for (const load of Object.values(LOADS)) {
    const shares = Array.from({ length: load.clients }, (_, client) => ownObjects(load, client))
    t.equal(shares[0]!.from, 0)
    t.equal(shares.at(-1)!.to, load.objects)
    for (const [at, { from }] of shares.entries()) if (at > 0) t.equal(from, shares[at - 1]!.to)
    for (const clients of [1, 3, load.clients, load.objects, load.objects + 7]) {
      const by = { ...load, clients }
      for (let object = 0; object < load.objects; object += 1 + Math.floor(load.objects / 500)) {
        const { from, to } = ownObjects(by, ownerOf(by, object))
        if (object < from || object >= to) t.fail(`object ${object} of ${clients} clients`)
      }
    }
  }
})

t.test('loads by name', async (t) => {
  t.same(parseLoads('head, list'), ['head', 'list'])
  t.same(parseLoads(undefined), LOAD_NAMES)
  t.equal(parseLoads('head,toString'), 'toString')
})
