// XML that is written: what needs escaping, what errors look like (pitfalls 56, 84, 85).
import t from 'tap'
import { S3Error } from '../../../../src/gateway/s3-error.ts'
import { errorDocument } from '../../../../src/gateway/xml/error-document.ts'
import { encodeKey } from '../../../../src/gateway/xml/key-encoding.ts'
import { OWNER } from '../../../../src/gateway/xml/owner.ts'
import { readXml } from '../../../../src/gateway/xml/read.ts'
import { document, element, escapeXml, xmlTime } from '../../../../src/gateway/xml/write.ts'

t.test('special characters become references (pitfall 85)', async (t) => {
  t.equal(escapeXml('a & <b> "c" \'d\''), "a &amp; &lt;b&gt; &quot;c&quot; 'd'")
  t.equal(escapeXml('a\rb'), 'a&#13;b')
  t.equal(escapeXml('\u0000\u0001\u001f'), '&#x0;&#x1;&#x1F;')
  t.equal(escapeXml('\ufffe\uffff'), '&#xFFFE;&#xFFFF;')
  t.equal(escapeXml('\t\n ü €\u{1f600}'), '\t\n ü €\u{1f600}', 'these may stand')
  t.equal(element('Size', 5), '<Size>5</Size>')
})

t.test('every character that may be in XML comes back', async (t) => {
  for (let code = 1; code < 0x3000; code++) {
    const text = `a${String.fromCodePoint(code)}b`
    const read = readXml(document('R', escapeXml(text)), 'R').text
    if (read !== text) t.fail(`U+${code.toString(16)} came back as ${JSON.stringify(read)}`)
  }
})

t.test('errors have no namespace, and nothing before the declaration (pitfall 56)', async (t) => {
  const error = new S3Error('NoSuchKey', { Key: 'a<b' })
  const context = { requestId: 'R', hostId: 'H', resource: '/photos/a<b' }
  t.equal(
    errorDocument(error, context),
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>' +
      '<Message>The specified key does not exist.</Message><Key>a&lt;b</Key>' +
      '<Resource>/photos/a&lt;b</Resource><RequestId>R</RequestId><HostId>H</HostId></Error>',
  )
})

t.test('encoding-type=url: space is %20, plus is %2B, slashes stay (pitfall 84)', async (t) => {
  t.equal(encodeKey('a b+c/d', 'url'), 'a%20b%2Bc/d')
  t.equal(encodeKey("!'()*~", 'url'), '%21%27%28%29%2A~')
  t.equal(encodeKey('€\n\u0001', 'url'), '%E2%82%AC%0A%01')
  t.equal(encodeKey('plain/key-1_2.txt', 'url'), 'plain/key-1_2.txt')
  t.equal(encodeKey('a b', undefined), 'a b')
})

t.test('times in whole seconds (pitfall 54); an owner of 64 hex digits', async (t) => {
  t.equal(xmlTime(Date.UTC(2026, 10, 20, 12)), '2026-11-20T12:00:00.000Z')
  for (const ms of [0, 1, 999, 86_399_999, 86_400_000, 1_763_000_061_007, 1_999_999_999_999])
    t.equal(xmlTime(ms), new Date(ms - (ms % 1000)).toISOString())
  t.match(OWNER.id, /^[0-9a-f]{64}$/)
})
