// Values as long as a head or a form may be, made for parsers that look at the same text again and again: each has its answer,
// in the time that its length takes. (Where one took the square of it, this file ran for minutes.)
import t from 'tap'
import { checkKey, parseAddress, parseQuery, percentDecode } from '../../../src/gateway/address.ts'
import { checkHeader } from '../../../src/gateway/auth/hoist.ts'
import { canonicalHeaderValue } from '../../../src/gateway/auth/sigv4.ts'
import { parseSignedHeaders } from '../../../src/gateway/auth/verify-v4.ts'
import { AwsChunkedDecoder } from '../../../src/gateway/body/aws-chunked.ts'
import { storedEncoding } from '../../../src/gateway/body/body-claims.ts'
import { openForm, parseBoundary } from '../../../src/gateway/body/form-data.ts'
import { parseObjectChecksum } from '../../../src/gateway/headers/checksum-headers.ts'
import { parseCopySource } from '../../../src/gateway/headers/copy-source.ts'
import { parseHttpDate, parseIsoTime } from '../../../src/gateway/headers/dates.ts'
import { parseEtags } from '../../../src/gateway/headers/etags.ts'
import { parseInteger } from '../../../src/gateway/headers/list-parameters.ts'
import { parseCopySourceRange, parseRange } from '../../../src/gateway/headers/range.ts'
import { parseUserMetadata } from '../../../src/gateway/headers/user-metadata.ts'
import { parseVersionId } from '../../../src/gateway/headers/version-id.ts'

const LENGTH = 60_000
const blanks = ' '.repeat(LENGTH)
const many = (text: string): string => text.repeat(LENGTH / text.length)

t.test('headers', async (t) => {
  const whole = { kind: 'whole' }
  t.same(parseRange(`bytes=0-1${blanks}x`, 10), whole, 'blanks without a comma')
  t.same(parseRange(`bytes=0-1${many(' \t')},2-3`, 10).kind, 'ranges', 'blanks with one')
  t.same(parseRange(`bytes=${many(',')}`, 10), whole)
  t.same(parseRange(`bytes=${many('1')}-`, 10), { kind: 'unsatisfiable' })
  t.throws(() => parseCopySourceRange(`bytes=${many('1')}-x`, 10), { code: 'InvalidArgument' })
  t.same(parseEtags(`"${blanks}"${blanks}x`), [`"${blanks}"${blanks}x`])
  t.equal(parseEtags(many('W/"",')).length, LENGTH / 5)
  t.equal(parseHttpDate(`Mon, 01 Jan 2026${blanks}x`), undefined)
  t.equal(parseIsoTime(`2026-01-01T00:00:00.${many('0')}`), undefined)
  t.throws(() => parseCopySource(`bkt/k${many('?versionId')}`), { code: 'InvalidArgument' })
  t.equal(parseCopySource(`bkt/k?versionId=${many('?')}`).versionId, many('?'))
  t.throws(() => parseVersionId(many('a')), { code: 'InvalidArgument' })
  t.throws(() => parseInteger({ 'max-keys': many('1') }, 'max-keys'), { code: 'InvalidArgument' })
  t.equal(storedEncoding(`aws-chunked,${many(' ,')}`), undefined)
  const checksum = { 'x-amz-checksum-crc32': `AAAAAA==${many('-1')}x` }
  t.throws(() => parseObjectChecksum(checksum), { code: 'InvalidRequest' })
  t.throws(() => checkHeader('x-amz-acl', `${blanks}\n`), { code: 'InvalidArgument' })
  t.equal(canonicalHeaderValue(`a${blanks}b${blanks}`), 'a b')
  t.same([...parseSignedHeaders(many('Host;'))], ['host'])
})

t.test('user metadata in words of RFC 2047', async (t) => {
  const value = many('=?utf-8?Q??= ')
  const tooLarge = { code: 'MetadataTooLarge', elements: { MaxSizeAllowed: '2048' } }
  t.throws(() => parseUserMetadata({ 'x-amz-meta-a': value }), tooLarge)
  const spread = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [`x-amz-meta-${index}`, value.slice(0, 1000)]),
  )
  t.throws(() => parseUserMetadata(spread), tooLarge)
  const gaps = { 'x-amz-meta-a': `=?utf-8?Q?a?=${' '.repeat(15_000)}=?utf-8?Q?b?=` }
  t.same(parseUserMetadata(gaps), { a: 'ab' })
})

t.test('addresses', async (t) => {
  t.equal(parseQuery(many('&')).length, 0)
  t.equal(parseQuery(many('a=&')).length, LENGTH / 3)
  t.equal(percentDecode(many('%41')).length, LENGTH / 3)
  t.throws(() => percentDecode(`${many('%41')}%4`), { code: 'InvalidURI' })
  t.equal(parseAddress('/', `${many(':1')}x`, ['localhost']).bucket, '')
  t.throws(() => checkKey(many('../')), { code: 'KeyTooLongError' })
})

t.test('forms', async (t) => {
  const malformed = { code: 'MalformedPOSTRequest' }
  t.throws(() => parseBoundary(`multipart/form-data;${blanks}boundary`), malformed)
  t.equal(parseBoundary(`multipart/form-data${many(';boundary="')}`), ';boundary=')
  const head = (disposition: string) =>
    async function* () {
      yield Buffer.from(`--b\r\nContent-Disposition: form-data${disposition}\r\n\r\n`)
    }
  for (const parameters of ['; a="', '; a="\\', '; a=b', ';  ', '\\"'].map(many)) {
    const form = await openForm(head(`; name="file"${parameters}`)(), 'b')
    t.ok(form.headBytes > LENGTH)
  }
  await t.rejects(openForm(head(blanks)(), 'b'), malformed)
})

t.test('trailers', async (t) => {
  const decoder = new AwsChunkedDecoder({
    ...{ bytes: 0, trailers: true, verifier: undefined, strict: false },
  })
  const middle = `a${' '.repeat(1000)}b`
  decoder.push(Buffer.from(`0\r\nx-amz-a: ${middle}\t \r\nx-amz-b:\xa0\r\n\r\n`, 'latin1'))
  decoder.end()
  t.same(
    [...decoder.trailers],
    [
      ['x-amz-a', middle],
      ['x-amz-b', '\xa0'],
    ],
  )
})
