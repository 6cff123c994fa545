// XML that clients send, in all the forms that are known of them, and XML that must not be read
// (pitfalls 44, 107).
import t from 'tap'
import { childrenOf, readXml, textOf } from '../../../../src/gateway/xml/read.ts'
import { readListedParts } from '../../../../src/gateway/xml/requests/complete-upload.ts'
import { readLocationConstraint } from '../../../../src/gateway/xml/requests/create-bucket.ts'
import { readDeleteRequest } from '../../../../src/gateway/xml/requests/delete-objects.ts'

const malformed = { code: 'MalformedXML', status: 400 }

t.test('text stays text', async (t) => {
  const key = (inner: string) => textOf(readXml(`<R><Key>${inner}</Key></R>`, 'R'), 'Key')
  t.equal(key('007'), '007', 'no numbers')
  t.equal(key('1e5'), '1e5')
  t.equal(key('true'), 'true')
  t.equal(key('  a b  '), '  a b  ', 'spaces are part of a key')
  t.equal(key('   '), '   ')
  t.equal(key(''), '')
  t.equal(key('a&amp;b&lt;&gt;&quot;&apos;'), 'a&b<>"\'')
  t.equal(key('&amp;lt;'), '&lt;', 'once, not twice')
  t.equal(key('&#13;&#x1;&#x1F600;'), '\r\u0001\u{1f600}')
  t.equal(key('<![CDATA[a&amp;<b>]]>c'), 'a&amp;<b>c')
  t.equal(key('a<!-- no -->b'), 'ab')
  t.equal(textOf(readXml('<R/>', 'R'), 'Key'), undefined)
})

t.test('declaration, namespace, prefix and white space as they come', async (t) => {
  const inner = '<Key>a</Key>'
  const forms = [
    `<R>${inner}</R>`,
    `<?xml version="1.0" encoding="UTF-8"?><R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</R>`,
    `<?xml version="1.0"?>\n<R xmlns='x'>\n  ${inner}\r\n</R>\n`,
    `<s3:R xmlns:s3="x"><s3:Key>a</s3:Key></s3:R>`,
    `\ufeff<R>${inner}</R>`,
  ]
  for (const form of forms) t.equal(textOf(readXml(form, 'R'), 'Key'), 'a', form)
})

t.test('what is not the document is MalformedXML (pitfalls 44, 107)', async (t) => {
  const bad = [
    '',
    'garbage',
    '<R>',
    '<R></S>',
    '<S/>',
    '<R/><R/>',
    '<R>&nbsp;</R>',
    '<R>a & b</R>',
    '<R>&#xD800;</R>',
    '<R>&#99999999;</R>',
    '<!DOCTYPE R [<!ENTITY x "y">]><R>&x;</R>',
    '<!doctype R SYSTEM "file:///etc/passwd"><R/>',
    '<R><__proto__>x</__proto__></R>',
    `${'<R>'.repeat(40)}${'</R>'.repeat(40)}`,
    '{"R":1}',
  ]
  for (const text of bad) t.throws(() => readXml(text, 'R'), malformed, text.slice(0, 40))
  const twice = readXml('<R><Key>a</Key><Key>b</Key></R>', 'R')
  t.throws(() => textOf(twice, 'Key'), malformed, 'one value, not two')
  t.equal(childrenOf(twice, 'Key').length, 2)
})

t.test('Complete of every client that was measured (pitfall 107)', async (t) => {
  const forms = [
    '<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>abc</ETag></Part></CompleteMultipartUpload>',
    '<?xml version="1.0"?>\n<CompleteMultipartUpload xmlns="x">\n <Part>\n  <ETag>"abc"</ETag>\n  <PartNumber>1</PartNumber>\n </Part>\n</CompleteMultipartUpload>',
    '<CompleteMultipartUpload><Part><ETag>&quot;abc&quot;</ETag><PartNumber> 1 </PartNumber></Part></CompleteMultipartUpload>',
    '<CompleteMultipartUpload><Part><ETag>&#34;abc&#34;</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>',
    '<CompletedMultipartUpload><Part><ETag>abc</ETag><PartNumber>1</PartNumber></Part></CompletedMultipartUpload>',
  ]
  for (const form of forms) t.same(readListedParts(form), [{ number: 1, etag: 'abc' }])
  const part =
    '<Part><PartNumber>2</PartNumber><ETag>a</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>'
  t.same(readListedParts(`<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`), [
    { number: 2, etag: 'a', checksum: { algorithm: 'CRC32', value: 'AAAAAA==' } },
  ])
})

t.test('Complete without parts, or with nonsense (pitfalls 106, 107)', async (t) => {
  const complete = (inner: string) => () =>
    readListedParts(`<CompleteMultipartUpload>${inner}</CompleteMultipartUpload>`)
  t.throws(complete(''), malformed)
  t.throws(complete('<Part><ETag>a</ETag></Part>'), malformed)
  t.throws(complete('<Part><PartNumber>1</PartNumber></Part>'), malformed)
  t.throws(complete('<Part><PartNumber>x</PartNumber><ETag>a</ETag></Part>'), malformed)
  const good = '<PartNumber>1</PartNumber><ETag>a</ETag>'
  for (const other of ['<Checksumcrc32>AAAAAA==</Checksumcrc32>', '<IfMatch>a</IfMatch>', '<x/>'])
    t.throws(complete(`<Part>${good}${other}</Part>`), malformed, `not heard: ${other}`)
  const crc = '<ChecksumCRC32>AAAAAA==</ChecksumCRC32>'
  for (const checksums of [`${crc}<ChecksumSHA1>AAAA</ChecksumSHA1>`, crc.replace('==', '=?')])
    t.throws(complete(`<Part>${good}${checksums}</Part>`), {
      code: 'InvalidArgument',
      message: 'Invalid Base64 or multiple checksums present in request',
    })
  const told = '<LastModified>2026-11-20T12:00:00.000Z</LastModified><Size>5</Size>'
  t.equal(complete(`<Part>${good}${told}</Part>`)().length, 1, 'as ListParts told it')
  t.throws(complete(`<Part>${good}</Part><IfMatch>a</IfMatch>`), malformed)
  for (const number of ['0', '10001'])
    t.throws(complete(`<Part><PartNumber>${number}</PartNumber><ETag>a</ETag></Part>`), {
      code: 'InvalidArgument',
    })
})

t.test('10,000 quoted ETags are read; one part more is refused (pitfall 44)', async (t) => {
  const part = (_: unknown, index: number) =>
    `<Part><PartNumber>${(index % 10_000) + 1}</PartNumber><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag></Part>`
  const body = (count: number) =>
    `<CompleteMultipartUpload>${Array.from({ length: count }, part).join('\n')}</CompleteMultipartUpload>`
  t.equal(readListedParts(body(10_000)).length, 10_000)
  t.throws(() => readListedParts(body(10_001)), malformed)
})

t.test('DeleteObjects: 1 to 1,000 keys (pitfall 101)', async (t) => {
  const body = (count: number) =>
    `<Delete>${'<Object><Key>k</Key></Object>'.repeat(count)}<Quiet>true</Quiet></Delete>`
  t.equal(readDeleteRequest(body(1000)).keys.length, 1000)
  t.throws(() => readDeleteRequest(body(1001)), malformed)
  t.throws(() => readDeleteRequest(body(0)), malformed)
  t.throws(() => readDeleteRequest('<Delete><Object/></Delete>'), malformed)
  const conditional = readDeleteRequest(
    '<Delete><Object><Key> &#x1;&amp; </Key><VersionId>null</VersionId><ETag>"e"</ETag><Size>3</Size></Object></Delete>',
  )
  t.same(conditional, {
    keys: [{ key: ' \u0001& ', versionId: 'null', etag: '"e"', modified: undefined, size: '3' }],
    quiet: false,
  })
})

t.test('CreateBucketConfiguration', async (t) => {
  const configuration = (inner: string) =>
    readLocationConstraint(`<CreateBucketConfiguration>${inner}</CreateBucketConfiguration>`)
  t.equal(readLocationConstraint(''), undefined)
  t.equal(configuration(''), undefined)
  t.equal(configuration('<LocationConstraint/>'), undefined)
  t.equal(configuration('<LocationConstraint>eu-west-1</LocationConstraint>'), 'eu-west-1')
  t.throws(() => configuration('<Tags><Tag/></Tags>'), { code: 'NotImplemented' })
  t.throws(() => readLocationConstraint('<Other/>'), malformed)
})

t.test('attributes count like tags', async (t) => {
  const read = (root: string, inner = '') => readXml(`<R${root}>${inner}</R>`, 'R', 1_000)
  const attributes = Array.from({ length: 500 }, (_, index) => ` a${index}="b"`)
  t.equal(read(attributes.slice(0, 498).join('')).name, 'R')
  t.throws(() => read(attributes.join('')), malformed)
  t.throws(() => read(` a=">"${attributes.join('')}`), malformed, 'behind a quoted end')
  t.throws(() => read('', `<a${attributes.join('')}/>`), malformed)
  t.throws(() => read('', `<![CDATA[>]]><!-- > --><a${attributes.join('')}/>`), malformed)
  t.throws(() => read(' a'.repeat(1_000_000)), malformed, 'without values')
  t.throws(() => read(' a="b'.repeat(1_000_000)), malformed, 'between quotes of others')
  t.throws(() => read('', '<?a b="c"?>'), malformed, 'in instructions, which nobody sends')
  t.throws(() => readXml('<?a b="c"?><R/>', 'R'), malformed)
  t.throws(() => readXml(`<?xml ${'a="b" '.repeat(1_000)}?><R/>`, 'R'), malformed)
  const text = `${'k=v '.repeat(1_000)}<![CDATA[${'<?a b="c"?>'.repeat(1_000)}]]>`
  t.equal(textOf(read('', `<Key>${text}</Key>`), 'Key')?.length, 4_000 + 11_000, 'text is none')
  t.equal(read('', `<!--${' a="b"'.repeat(1_000)}--><a/>`).children.length, 1)
  const grant =
    '<Grant><Grantee xmlns:xsi="x" xsi:type="CanonicalUser"><ID>1</ID></Grantee></Grant>'
  t.equal(read('', grant.repeat(80)).children.length, 80)
})

t.test('a document of nothing but tags is refused before it is parsed', async (t) => {
  const tags = '<a/>'.repeat(500_000)
  t.throws(
    () => readListedParts(`<CompleteMultipartUpload>${tags}</CompleteMultipartUpload>`),
    malformed,
  )
  t.throws(() => readDeleteRequest(`<Delete>${tags}</Delete>`), malformed)
  const references = '&amp;'.repeat(300_000)
  t.throws(
    () => readDeleteRequest(`<Delete><Object><Key>${references}</Key></Object></Delete>`),
    malformed,
  )
})
