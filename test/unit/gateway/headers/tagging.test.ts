// x-amz-tagging, and what S3 lets a tag be (pitfall 95).
import t from 'tap'
import { checkTags, parseTagging } from '../../../../src/gateway/headers/tagging.ts'

const parse = (header: string) => parseTagging({ 'x-amz-tagging': header })

t.test('a query string of tags', async (t) => {
  t.same(parseTagging({}), [])
  t.same(parse(''), [], 'Velero sends an empty header')
  t.same(parse('a=1&b=2'), [
    { key: 'a', value: '1' },
    { key: 'b', value: '2' },
  ])
  t.same(parse('a&b='), [
    { key: 'a', value: '' },
    { key: 'b', value: '' },
  ])
  t.same(parse('a%20b=c%2Bd&e+f=g%3Dh&%C3%BC=%E6%96%87'), [
    { key: 'a b', value: 'c+d' },
    { key: 'e f', value: 'g=h' },
    { key: 'ü', value: '文' },
  ])
})

t.test('a header that is no such string', async (t) => {
  for (const header of [
    'a=1&a=2',
    '=1',
    'a=%FF',
    'a=%',
    'a=%4',
    'a=1,b=2',
    'a,b=1',
    'a=b=c',
    'a=b;c',
  ]) {
    const expected = {
      code: 'InvalidArgument',
      elements: { ArgumentName: 'x-amz-tagging', ArgumentValue: header },
    }
    t.throws(() => parse(header), expected, header)
  }
})

t.test('signs that a tag may have stand as they are, others only encoded', async (t) => {
  t.same(parse('a:b/c@d=e.f_g-h i'), [{ key: 'a:b/c@d', value: 'e.f_g-h i' }])
  t.throws(() => parse('a=1%2Cb'), { code: 'InvalidTag' }, 'it is a tag, and a wrong one')
})

t.test('ten tags at most', async (t) => {
  const tags = Array.from({ length: 10 }, (_, index) => `k${index}=v`)
  t.equal(parse(tags.join('&')).length, 10)
  t.throws(() => parse([...tags, 'one=more'].join('&')), {
    code: 'BadRequest',
    message: 'Object tags cannot be greater than 10',
  })
  // Each compared with all before it, so many took seconds.
  const hostile = Array.from({ length: 20_000 }, (_, index) => index.toString(36))
  t.throws(() => parse(hostile.join('&')), { code: 'BadRequest' })
  t.throws(() => parse([...hostile, hostile.at(-1)].join('&')), { code: 'InvalidArgument' })
})

t.test('lengths are counted in units of UTF-16', async (t) => {
  checkTags([{ key: 'k'.repeat(128), value: 'v'.repeat(256) }])
  checkTags([{ key: '𝒜'.repeat(64), value: '文'.repeat(256) }])
  for (const key of ['', 'k'.repeat(129), '𝒜'.repeat(65)])
    t.throws(() => checkTags([{ key, value: '' }]), {
      code: 'InvalidTag',
      message: 'The TagKey you have provided is invalid',
      elements: { TagKey: key },
    })
  const value = 'v'.repeat(257)
  t.throws(() => checkTags([{ key: 'k', value }]), {
    code: 'InvalidTag',
    message: 'The TagValue you have provided is invalid',
    elements: { TagKey: 'k', TagValue: value },
  })
})

t.test('characters', async (t) => {
  checkTags([{ key: 'b c+d-e=f.g_h:i/j@k', value: '2 + 2 = 4, no'.replace(',', '') }])
  for (const bad of [
    'a,b',
    'a;b',
    'a?b',
    'a!b',
    'a*b',
    'a#b',
    'a%b',
    'a(b)',
    'a\tb',
    'a\nb',
    '😀',
  ]) {
    t.throws(
      () => checkTags([{ key: bad, value: '' }]),
      { code: 'InvalidTag', elements: { TagKey: bad } },
      bad,
    )
    t.throws(
      () => checkTags([{ key: 'k', value: bad }]),
      { code: 'InvalidTag', elements: { TagValue: bad } },
      bad,
    )
  }
  for (const key of ['aws:cost', 'AWS:cost'])
    t.throws(() => checkTags([{ key, value: '' }]), {
      code: 'InvalidTag',
      message: 'Your TagKey cannot be prefixed with aws:',
    })
})

t.test('keys are unique', async (t) => {
  const twice = [
    { key: 'a', value: '1' },
    { key: 'a', value: '2' },
  ]
  t.throws(() => checkTags(twice), {
    code: 'InvalidTag',
    message: 'Cannot provide multiple Tags with the same key',
    elements: { TagKey: 'a' },
  })
  checkTags([...twice.slice(0, 1), { key: 'A', value: '' }])
})
