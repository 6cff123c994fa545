// x-amz-copy-source (pitfall 97).
import t from 'tap'
import { parseCopySource } from '../../../../src/gateway/headers/copy-source.ts'

t.test('bucket, key and version', async (t) => {
  const rows: [header: string, bucket: string, key: string, versionId?: string][] = [
    ['photos/cat.jpg', 'photos', 'cat.jpg'],
    ['/photos/cat.jpg', 'photos', 'cat.jpg'],
    ['photos/a/b//c', 'photos', 'a/b//c'],
    ['photos//a', 'photos', '/a'],
    ['photos%2Fcat.jpg', 'photos', 'cat.jpg'],
    ['photos/a%20b%2Bc%3Fd', 'photos', 'a b+c?d'],
    ['photos/a+b%2Bc', 'photos', 'a b+c'],
    ['photos%2Fa+b%2Bc', 'photos', 'a b+c'],
    ['photos/cat?versionId=null', 'photos', 'cat', 'null'],
    ['photos/cat%3FversionId=null', 'photos', 'cat?versionId=null'],
    ['photos/%E2%82%AC', 'photos', '€'],
  ]
  for (const [header, bucket, key, versionId] of rows)
    t.same(parseCopySource(header), { bucket, key, versionId }, header)
})

t.test('what is none', async (t) => {
  const rows: [header: string, what: string][] = [
    ['', 'bucket name'],
    ['/', 'bucket name'],
    ['photos', 'object key'],
    ['photos/', 'object key'],
    [`photos/${'x'.repeat(1025)}`, 'object key'],
    ['photos/%zz', 'encoding'],
    ['photos/%ff', 'encoding'],
  ]
  for (const [header, what] of rows) {
    const expected = { code: 'InvalidArgument', message: `Invalid copy source ${what}` }
    t.throws(() => parseCopySource(header), expected, header.slice(0, 20))
  }
})
