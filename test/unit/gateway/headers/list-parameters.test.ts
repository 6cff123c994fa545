// Parameters and tokens of listings (pitfalls 82 to 84), part numbers, upload and version ids (103, 105, 106).
import t from 'tap'
import { readToken, writeToken } from '../../../../src/gateway/headers/continuation-token.ts'
import {
  parseCount,
  parseInteger,
  parseListParameters,
} from '../../../../src/gateway/headers/list-parameters.ts'
import { parsePartNumber, parseUploadId } from '../../../../src/gateway/headers/part-number.ts'
import { parseResponseOverrides } from '../../../../src/gateway/headers/response-overrides.ts'
import { parseVersionId } from '../../../../src/gateway/headers/version-id.ts'

t.test('max-keys (pitfall 82)', async (t) => {
  const count = (text: string) => parseCount({ 'max-keys': text }, 'max-keys')
  t.equal(parseCount({}, 'max-keys'), 1000)
  t.equal(count(''), 1000)
  t.equal(count('0'), 0)
  t.equal(count('7'), 7)
  t.equal(count('5000'), 1000, 'clamped')
  t.throws(() => count('-1'), {
    code: 'InvalidArgument',
    message: 'Argument maxKeys must be an integer between 0 and 2147483647',
  })
  for (const text of ['blah', '1.5', '2147483648', '1e3', ' '])
    t.throws(() => count(text), {
      code: 'InvalidArgument',
      message: 'Provided max-keys not an integer or within integer range',
    })
  t.equal(parseInteger({}, 'part-number-marker'), undefined)
})

t.test('encoding-type is url or nothing (pitfall 84)', async (t) => {
  t.same(parseListParameters({}), { prefix: '', delimiter: '', encoding: undefined })
  t.equal(parseListParameters({ 'encoding-type': 'url' }).encoding, 'url')
  t.throws(() => parseListParameters({ 'encoding-type': 'base64' }), { code: 'InvalidArgument' })
})

t.test('tokens come back as they went, or are refused (pitfall 83)', async (t) => {
  for (const name of ['a', 'a/b/', '€\u{1f600}', ' ', '?&=+/', 'x'.repeat(1024), '\uffff']) {
    const token = writeToken(name)
    t.equal(readToken(token), name)
    t.match(token, /^[\w-]+$/, 'fit for a URL')
  }
  const good = writeToken('some/key')
  const bad = [
    'x',
    'garbage',
    '====',
    good.slice(1),
    good.slice(0, -1),
    `${good}A`,
    `${good}=`,
    'AAAAAAAA',
  ]
  for (const token of bad)
    t.throws(
      () => readToken(token),
      { code: 'InvalidArgument', message: 'The continuation token provided is incorrect' },
      token,
    )
})

t.test('every single changed character of a token is noticed', async (t) => {
  const token = writeToken('photos/2026/cat.jpg')
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === 'A' ? 'B' : 'A'
    t.throws(() => readToken(token.slice(0, at) + other + token.slice(at + 1)))
  }
})

t.test('part numbers are 1 to 10,000 (pitfall 106)', async (t) => {
  t.equal(parsePartNumber({ partNumber: '1' }), 1)
  t.equal(parsePartNumber({ partNumber: '10000' }), 10_000)
  for (const partNumber of ['0', '10001', '-1', 'x', '', '1.0'])
    t.throws(() => parsePartNumber({ partNumber }), {
      code: 'InvalidArgument',
      message: 'Part number must be an integer between 1 and 10000, inclusive',
    })
})

t.test('an upload id that can not be ours is unknown', async (t) => {
  t.throws(() => parseUploadId({ uploadId: '../../etc' }), {
    code: 'NoSuchUpload',
    elements: { UploadId: '../../etc' },
  })
})

t.test(
  'version ids: ours, null, those of other stores, and none (pitfalls 103, 105)',
  async (t) => {
    t.same(parseVersionId(undefined), { kind: 'current' })
    for (const versionId of ['null', '0'.repeat(26), 'vvvvvvvvvvvvvvvvvvvvvvvvvs'])
      t.same(parseVersionId(versionId), { kind: 'named', versionId })
    for (const versionId of ['3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY', '1'.repeat(26), '0'.repeat(27)])
      t.same(parseVersionId(versionId), { kind: 'unknown', versionId })
    t.throws(() => parseVersionId('x'.repeat(1025)), { code: 'InvalidArgument' })
    t.throws(() => parseVersionId('a b'), { message: 'Invalid version id specified' })
    t.throws(() => parseVersionId(''), { code: 'InvalidArgument' })
  },
)

t.test(
  'response-* headers are for signed requests, and no way to smuggle (pitfalls 25, 78)',
  async (t) => {
    const root = { kind: 'root', accessKeyId: 'A' } as const
    const query = { 'response-content-type': 'text/x', 'response-expires': '', prefix: 'p' }
    t.same(parseResponseOverrides(query, root), { 'content-type': 'text/x' })
    t.throws(() => parseResponseOverrides(query, { kind: 'anonymous' }), { code: 'InvalidRequest' })
    t.same(parseResponseOverrides({}, { kind: 'anonymous' }), {})
    for (const value of ['a\r\nset-cookie: b', '€'])
      t.throws(() => parseResponseOverrides({ 'response-content-disposition': value }, root), {
        code: 'InvalidArgument',
      })
  },
)
