// Conditions of writes (pitfalls 64, 65, 69).
import t from 'tap'
import {
  conditionsOfKey,
  isConditional,
  judgeWrite,
  parseDeleteConditions,
  parseInitiated,
  parseWriteConditions,
  refuseConditions,
} from '../../../../src/gateway/headers/write-conditions.ts'

const MODIFIED_MS = Date.UTC(2026, 10, 20, 12, 0, 0, 250)
const MODIFIED = 'Fri, 20 Nov 2026 12:00:00 GMT'
const SECOND = Math.floor(MODIFIED_MS / 1000)

t.test('forms that are understood (pitfalls 64, 65)', async (t) => {
  t.same(parseWriteConditions({}, false), {})
  t.same(parseWriteConditions({ 'if-none-match': '*' }, false), { ifNoneMatch: ['*'] })
  t.same(parseWriteConditions({ 'if-match': '"abc"' }, false), { ifMatch: ['abc'] })
  t.same(parseWriteConditions({ 'if-match': 'abc, "def"' }, false), { ifMatch: ['abc', 'def'] })
  t.same(parseWriteConditions({ 'if-none-match': 'W/"abc"' }, false), { ifNoneMatch: ['abc'] })
  t.same(parseWriteConditions({ 'if-match': '' }, false), { ifMatch: [''] }, 'matches nothing')
  t.same(parseWriteConditions({ 'if-match': ',' }, false), { ifMatch: [''] }, 'matches nothing')
})

t.test('what is not understood is refused, never ignored (pitfalls 65, 69)', async (t) => {
  const refused = [
    { 'if-match': '"abc"', 'if-none-match': '*' },
    { 'if-modified-since': 'Fri, 20 Nov 2026 12:00:00 GMT' },
    { 'if-unmodified-since': 'Fri, 20 Nov 2026 12:00:00 GMT' },
    { 'x-amz-if-match-size': '3' },
    { 'x-amz-if-match-last-modified-time': 'Fri, 20 Nov 2026 12:00:00 GMT' },
  ]
  for (const headers of refused)
    t.throws(() => parseWriteConditions(headers, false), { code: 'NotImplemented', status: 501 })
  for (const headers of [{ 'if-match': '"abc"' }, { 'if-none-match': '*' }, ...refused])
    t.throws(() => refuseConditions(headers), { code: 'NotImplemented' })
  refuseConditions({ range: 'bytes=0-1' })
})

t.test('a write is judged by the current version (pitfall 64)', async (t) => {
  const current = { etag: 'abc', modifiedMs: MODIFIED_MS, bytes: 3 }
  t.equal(judgeWrite({ ifNoneMatch: ['*'] }, current), 'If-None-Match')
  t.equal(judgeWrite({ ifNoneMatch: ['*'] }, undefined), undefined)
  t.equal(judgeWrite({ ifNoneMatch: ['x'] }, current), undefined)
  t.equal(judgeWrite({ ifNoneMatch: ['abc'] }, current), 'If-None-Match')
  t.equal(judgeWrite({ ifMatch: ['abc'] }, current), undefined)
  t.equal(judgeWrite({ ifMatch: ['*'] }, current), undefined)
  t.equal(judgeWrite({ ifMatch: ['x'] }, current), 'If-Match')
  t.equal(judgeWrite({ ifMatch: ['*'] }, undefined), 'missing')
  t.notOk(isConditional({}))
  t.ok(isConditional({ ifMatch: ['x'] }))
})

t.test('a DELETE may ask for time and size too (pitfall 68)', async (t) => {
  const headers = {
    'if-match': '"abc"',
    'x-amz-if-match-last-modified-time': MODIFIED,
    'x-amz-if-match-size': '3',
  }
  const conditions = { ifMatch: ['abc'], ifMatchModified: SECOND, ifMatchBytes: 3 }
  t.same(parseDeleteConditions(headers, false), conditions)
  t.same(parseDeleteConditions({ 'if-none-match': '*' }, true), { ifNoneMatch: ['*'] })
  t.same(conditionsOfKey({ etag: '"abc"', modified: MODIFIED, size: '3' }), conditions)
  const iso = { etag: undefined, modified: '2026-11-20T12:00:00.250Z', size: undefined }
  t.same(conditionsOfKey(iso), { ifMatchModified: SECOND })
  t.same(conditionsOfKey({ etag: undefined, modified: undefined, size: undefined }), {})
  for (const wrong of [
    { 'x-amz-if-match-size': 'many' },
    { 'x-amz-if-match-size': '-1' },
    { 'x-amz-if-match-last-modified-time': 'yesterday' },
  ])
    t.throws(() => parseDeleteConditions(wrong, false), { code: 'InvalidArgument', status: 400 })
  const current = { etag: 'abc', modifiedMs: MODIFIED_MS, bytes: 3 }
  t.equal(judgeWrite(conditions, current), undefined)
  t.equal(judgeWrite({ ifMatchBytes: 4 }, current), 'x-amz-if-match-size')
  t.equal(judgeWrite({ ifMatchModified: 1 }, current), 'x-amz-if-match-last-modified-time')
  t.equal(judgeWrite({ ifMatchBytes: 0 }, undefined), 'missing')
})

t.test('an Abort may ask when its upload began, and nothing else', async (t) => {
  t.equal(parseInitiated({}), undefined)
  t.equal(parseInitiated({ 'x-amz-if-match-initiated-time': MODIFIED }), SECOND)
  t.throws(() => parseInitiated({ 'if-match': '*' }), { code: 'NotImplemented' })
})

t.test('both at once are refused with the names of both', async (t) => {
  t.throws(() => parseWriteConditions({ 'if-match': '*', 'if-none-match': '*' }, false), {
    code: 'NotImplemented',
    elements: { Header: 'If-Match,If-None-Match' },
  })
})

t.test('strict: If-None-Match takes no ETag (pitfall 65)', async (t) => {
  t.same(parseWriteConditions({ 'if-none-match': '*' }, true), { ifNoneMatch: ['*'] })
  t.throws(() => parseWriteConditions({ 'if-none-match': '"abc"' }, true), {
    code: 'NotImplemented',
    elements: { Header: 'If-None-Match' },
  })
  t.throws(() => parseDeleteConditions({ 'if-none-match': '"abc"' }, true), {
    code: 'NotImplemented',
  })
})
