// Conditions of writes (pitfalls 64, 65, 69).
import t from 'tap'
import {
  isConditional,
  judgeWrite,
  parseWriteConditions,
  refuseConditions,
} from '../../../../src/gateway/headers/write-conditions.ts'

t.test('forms that are understood (pitfalls 64, 65)', async (t) => {
  t.same(parseWriteConditions({}), {})
  t.same(parseWriteConditions({ 'if-none-match': '*' }), { ifNoneMatch: ['*'] })
  t.same(parseWriteConditions({ 'if-match': '"abc"' }), { ifMatch: ['abc'] })
  t.same(parseWriteConditions({ 'if-match': 'abc, "def"' }), { ifMatch: ['abc', 'def'] })
  t.same(parseWriteConditions({ 'if-none-match': 'W/"abc"' }), { ifNoneMatch: ['abc'] })
  t.same(parseWriteConditions({ 'if-match': '' }), { ifMatch: [''] }, 'matches nothing')
  t.same(parseWriteConditions({ 'if-match': ',' }), { ifMatch: [''] }, 'matches nothing')
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
    t.throws(() => parseWriteConditions(headers), { code: 'NotImplemented', status: 501 })
  for (const headers of [{ 'if-match': '"abc"' }, { 'if-none-match': '*' }, ...refused])
    t.throws(() => refuseConditions(headers), { code: 'NotImplemented' })
  refuseConditions({ range: 'bytes=0-1' })
})

t.test('a write is judged by the current version (pitfall 64)', async (t) => {
  const current = { etag: 'abc' }
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
