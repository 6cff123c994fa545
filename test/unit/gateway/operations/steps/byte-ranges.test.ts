// multipart/byteranges: every byte of it, and that its length is known before.
import t from 'tap'
import {
  joinRanges,
  layOutRanges,
} from '../../../../../src/gateway/operations/steps/byte-ranges.ts'
import type { ByteRange } from '../../../../../src/objects/object-store.ts'

const TEXT = 'abcdefghij'

async function* read({ first, last }: ByteRange): AsyncGenerator<Uint8Array> {
  for (let at = first; at <= last; at += 2)
    yield Buffer.from(TEXT.slice(at, Math.min(at + 2, last + 1)))
}

async function join(ranges: ByteRange[]): Promise<{ text: string; told: number; type: string }> {
  const layout = layOutRanges(ranges, { bytes: TEXT.length, contentType: 'text/x-ä' }, 'R1')
  const chunks: Uint8Array[] = []
  for await (const chunk of joinRanges(layout, read)) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('latin1')
  t.equal(layout.headers['content-length'], String(layout.bytes))
  return { text, told: layout.bytes, type: layout.headers['content-type'] ?? '' }
}

t.test('ranges in the order asked, each with its head', async (t) => {
  const { text, told, type } = await join([
    { first: 7, last: 9 },
    { first: 0, last: 4 },
    { first: 4, last: 4 },
  ])
  t.equal(type, 'multipart/byteranges; boundary=kintsugi-R1')
  t.equal(told, text.length)
  t.same(text.split('\r\n'), [
    '--kintsugi-R1',
    'Content-Type: text/x-ä',
    'Content-Range: bytes 7-9/10',
    '',
    'hij',
    '--kintsugi-R1',
    'Content-Type: text/x-ä',
    'Content-Range: bytes 0-4/10',
    '',
    'abcde',
    '--kintsugi-R1',
    'Content-Type: text/x-ä',
    'Content-Range: bytes 4-4/10',
    '',
    'e',
    '--kintsugi-R1--',
    '',
  ])
})

t.test('a read that fails at once fails before anything was said', async (t) => {
  const ranges = [{ first: 0, last: 1 }]
  const layout = layOutRanges(ranges, { bytes: 10, contentType: 'a/b' }, 'R1')
  const broken = joinRanges(layout, () => failing())
  await t.rejects(broken.next(), { message: 'no shards' })
})

async function* failing(): AsyncGenerator<Uint8Array> {
  if (TEXT.length > 0) throw new Error('no shards')
  yield Buffer.from('')
}
