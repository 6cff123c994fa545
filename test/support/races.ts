// Writers that race for one key, and what must hold whoever wins. Each function returns the troubles that it saw.
import { createHash } from 'node:crypto'
import { encodeKey, type S3Client, type S3Response } from './s3.ts'
import type { Seeded } from './seeded.ts'

/** Where a race takes place. */
export interface Track {
  client: S3Client
  bucket: string
}

const ANY = { 'if-match': '*' }
const NONE = { 'if-none-match': '*' }
/** Lost: the condition did not hold, or somebody else was about to make it fail. */
const LOST = [404, 409, 412]

/** `writers` create one key with `If-None-Match: *`, `rounds` times: exactly one may each time. */
export async function raceCreators(
  track: Track,
  { writers, rounds }: { writers: number; rounds: number },
): Promise<string[]> {
  const { client, bucket } = track
  const troubles: string[] = []
  for (let round = 0; round < rounds; round += 1) {
    const bodies = Array.from({ length: writers }, (_, writer) => `${round} by ${writer}`)
    const answers = await Promise.all(
      bodies.map((body) => client.put(bucket, 'one', Buffer.from(body), NONE)),
    )
    const winners = bodies.filter((_, writer) => answers[writer]!.status === 200)
    const others = answers.filter(({ status }) => status !== 200 && !LOST.includes(status))
    const stored = (await client.get(bucket, 'one')).body.toString()
    if (winners.length !== 1 || stored !== winners[0])
      troubles.push(`round ${round}: ${winners.length} won, '${stored}' is stored`)
    for (const { status, body } of others) troubles.push(`round ${round}: ${status} ${body}`)
    await client.send({ method: 'DELETE', path: `/${bucket}/one`, headers: ANY })
  }
  return troubles
}

/**
 * `writers` increment a counter, each `times`, by `If-Match` of what they have read; every fourth writes by multipart
 * upload. No increment may be lost.
 */
export async function raceCounter(
  track: Track,
  { writers, times }: { writers: number; times: number },
): Promise<string[]> {
  const { client, bucket } = track
  await client.put(bucket, 'counter', Buffer.from('0'))
  const work = async (writer: number): Promise<void> => {
    const write = writer % 4 === 3 ? writeByUpload : writeWhole
    for (let done = 0; done < times; ) {
      const { body, headers } = await client.get(bucket, 'counter')
      const next = String(Number(body) + 1)
      const answer = await write(track, 'counter', next, { 'if-match': headers.etag! })
      if (isDone(answer)) done += 1
      else if (!isLost(answer)) throw new Error(`${answer.status} ${answer.body}`)
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => work(writer)))
  const counted = Number((await client.get(bucket, 'counter')).body)
  return counted === writers * times ? [] : [`${writers * times} increments made it ${counted}`]
}

/**
 * PUT and Complete that want the key to be absent race DELETE that wants it present, in a bucket that keeps versions:
 * objects and delete markers must alternate, and be those that were acknowledged.
 */
export async function raceCreatorsAndDeleters(
  track: Track,
  { rounds }: { rounds: number },
): Promise<string[]> {
  const { client, bucket } = track
  const ids: string[] = []
  const troubles: string[] = []
  const note = (answer: S3Response): void => {
    const { 'x-amz-version-id': id } = answer.headers
    if (isDone(answer) && id !== undefined) ids.push(id)
    else if (!isDone(answer) && !isLost(answer)) troubles.push(`${answer.status} ${answer.body}`)
  }
  const remove = { method: 'DELETE', path: `/${bucket}/mixed`, headers: ANY }
  for (let round = 0; round < rounds; round += 1) {
    const puts = Array.from({ length: 8 }, (_, index) =>
      writeWhole(track, 'mixed', `${round} ${index}`, NONE),
    )
    const uploads = Array.from({ length: 4 }, () => writeByUpload(track, 'mixed', 'parts', NONE))
    const deletes = Array.from({ length: 8 }, () => client.send(remove))
    for (const answer of await Promise.all([...puts, ...uploads, ...deletes])) note(answer)
  }
  const listed = await listVersions(track)
  const wrong = listed.findIndex(({ kind }, index) => kind === listed[index + 1]?.kind)
  if (wrong >= 0) troubles.push(`two of a kind follow one another: ${listed[wrong]!.kind}`)
  const missing = ids.filter((id) => !listed.some((version) => version.id === id))
  if (missing.length > 0 || listed.length !== ids.length)
    troubles.push(`${ids.length} acknowledged, ${listed.length} listed, ${missing.length} missing`)
  return troubles
}

/** Readers of a key that is overwritten all the time: each of `reads` must get one whole version. */
export async function readWhileOverwritten(
  { client, bucket }: Track,
  random: Seeded,
  { reads }: { reads: number },
): Promise<string[]> {
  const sizes = [0, 1, 700, 4_096, 60_000, 131_072, 131_073, 200_000]
  const bodies = sizes.flatMap((bytes) => [random.bytes(bytes), random.bytes(bytes)])
  const known = new Set(bodies.map(md5))
  const troubles: string[] = []
  let left = reads
  await client.put(bucket, 'overwritten', bodies[0]!)
  const overwrite = async (): Promise<void> => {
    while (left > 0) await client.put(bucket, 'overwritten', random.pick(bodies))
  }
  const read = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      const { status, headers, body } = await client.get(bucket, 'overwritten')
      const sum = md5(body)
      if (status !== 200 || headers.etag !== `"${sum}"` || !known.has(sum))
        troubles.push(`${status}, ${body.length} bytes with ${sum} for ${headers.etag}`)
    }
  }
  await Promise.all([overwrite(), overwrite(), ...Array.from({ length: 8 }, read)])
  return troubles
}

function writeWhole(
  { client, bucket }: Track,
  key: string,
  body: string,
  conditions: Record<string, string>,
): Promise<S3Response> {
  return client.put(bucket, key, Buffer.from(body), conditions)
}

/** The same in one part; only Complete has the conditions. */
async function writeByUpload(
  { client, bucket }: Track,
  key: string,
  text: string,
  conditions: Record<string, string>,
): Promise<S3Response> {
  const path = `/${bucket}/${encodeKey(key)}`
  const created = await client.send({ method: 'POST', path, query: { uploads: '' } })
  const uploadId = textOf(created, 'UploadId')[0]!
  const query = { partNumber: '1', uploadId }
  const part = await client.send({ method: 'PUT', path, query, body: Buffer.from(text) })
  const listed = `<Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part>`
  const body = Buffer.from(`<CompleteMultipartUpload>${listed}</CompleteMultipartUpload>`)
  const target = { method: 'POST', path, query: { uploadId } }
  const answer = await client.send({ ...target, body, headers: conditions })
  if (!isDone(answer)) await client.send({ method: 'DELETE', path, query: { uploadId } })
  return answer
}

function isDone({ status, body }: S3Response): boolean {
  return status < 300 && !body.includes('<Error>')
}

function isLost({ status }: S3Response): boolean {
  return LOST.includes(status)
}

/** All versions of a bucket of one key. */
async function listVersions({ client, bucket }: Track): Promise<{ kind: string; id: string }[]> {
  const versions: { kind: string; id: string }[] = []
  let markers: Record<string, string> = {}
  for (;;) {
    const query = { versions: '', ...markers }
    const page = await client.send({ method: 'GET', path: `/${bucket}`, query })
    const found = page.body.toString().matchAll(/<(Version|DeleteMarker)>.*?<VersionId>([^<]+)</g)
    for (const [, kind, id] of found) versions.push({ kind: kind!, id: id! })
    const [key] = textOf(page, 'NextKeyMarker')
    if (key === undefined) return versions
    const [id] = textOf(page, 'NextVersionIdMarker')
    markers = { 'key-marker': key, 'version-id-marker': id! }
  }
}

function textOf({ body }: S3Response, name: string): string[] {
  const found = body.toString().matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))
  return [...found].map(([, text]) => text!)
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}
