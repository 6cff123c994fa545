// Conditions of reads: precedence of pitfall 60, ETag forms of 62, whole seconds of 54.
import t from 'tap'
import type { Headers } from '../../../../src/gateway/call.ts'
import {
  judgeRead,
  parseCopySourceConditions,
  parseReadConditions,
} from '../../../../src/gateway/headers/conditions.ts'

const modifiedMs = Date.UTC(2026, 10, 20, 12, 0, 0, 700)
const nowMs = modifiedMs + 3_600_000
const version = { etag: 'abc', modifiedMs }
const BEFORE = 'Fri, 20 Nov 2026 11:59:59 GMT'
const SAME = 'Fri, 20 Nov 2026 12:00:00 GMT'
const LATER = 'Fri, 20 Nov 2026 12:30:00 GMT'

function judge(headers: Headers): string {
  const verdict = judgeRead(parseReadConditions(headers, nowMs), version)
  return verdict.kind === 'passed' ? 'passed' : `${verdict.kind} ${verdict.condition}`
}

t.test('every combination of two conditions (pitfall 60)', async (t) => {
  const rows: [headers: Headers, verdict: string][] = [
    [{}, 'passed'],
    [{ 'if-match': '"abc"' }, 'passed'],
    [{ 'if-match': '"other"' }, 'failed If-Match'],
    [{ 'if-match': '"abc"', 'if-unmodified-since': BEFORE }, 'passed'],
    [{ 'if-match': '"other"', 'if-unmodified-since': LATER }, 'failed If-Match'],
    [{ 'if-none-match': '"abc"' }, 'not-modified If-None-Match'],
    [{ 'if-none-match': '"other"' }, 'passed'],
    [{ 'if-none-match': '"other"', 'if-modified-since': LATER }, 'passed'],
    [{ 'if-none-match': '"abc"', 'if-modified-since': BEFORE }, 'not-modified If-None-Match'],
    [{ 'if-none-match': '"abc"', 'if-unmodified-since': BEFORE }, 'failed If-Unmodified-Since'],
    [{ 'if-modified-since': BEFORE }, 'passed'],
    [{ 'if-modified-since': LATER }, 'not-modified If-Modified-Since'],
    [{ 'if-modified-since': LATER, 'if-unmodified-since': BEFORE }, 'failed If-Unmodified-Since'],
    [{ 'if-unmodified-since': BEFORE }, 'failed If-Unmodified-Since'],
    [{ 'if-unmodified-since': LATER }, 'passed'],
    [{ 'if-match': '"abc"', 'if-none-match': '"abc"' }, 'not-modified If-None-Match'],
  ]
  for (const [headers, verdict] of rows) t.equal(judge(headers), verdict, JSON.stringify(headers))
})

t.test('times are compared by whole seconds (pitfall 54)', async (t) => {
  t.equal(judge({ 'if-modified-since': SAME }), 'not-modified If-Modified-Since')
  t.equal(judge({ 'if-unmodified-since': SAME }), 'passed')
})

t.test('dates in the future and dates that are none are ignored (pitfall 62)', async (t) => {
  t.equal(judge({ 'if-modified-since': 'Fri, 20 Nov 2026 23:00:00 GMT' }), 'passed')
  t.equal(judge({ 'if-modified-since': 'yesterday' }), 'passed')
  t.equal(judge({ 'if-unmodified-since': '2020' }), 'passed')
})

t.test('old forms of dates are dates', async (t) => {
  for (const date of ['Friday, 20-Nov-26 11:59:59 GMT', 'Fri Nov 20 11:59:59 2026'])
    t.equal(judge({ 'if-unmodified-since': date }), 'failed If-Unmodified-Since', date)
})

t.test('ETags with quotes, without, in lists, weak, and any (pitfall 62)', async (t) => {
  for (const list of ['"abc"', 'abc', '*', '"x", "abc"', 'x,abc'])
    t.equal(judge({ 'if-match': list }), 'passed', list)
  t.equal(judge({ 'if-match': 'W/"abc"' }), 'failed If-Match', 'a weak ETag is never the same')
  t.equal(judge({ 'if-none-match': 'W/"abc"' }), 'not-modified If-None-Match')
  t.equal(judge({ 'if-match': '""' }), 'failed If-Match', 'TensorStore asks so for absence')
  t.equal(judge({ 'if-match': '' }), 'failed If-Match', 'an empty list names nothing')
})

t.test('conditions on the source of a copy have headers of their own (pitfall 63)', async (t) => {
  const headers = { 'x-amz-copy-source-if-match': '"other"', 'if-match': '"abc"' }
  const verdict = judgeRead(parseCopySourceConditions(headers, nowMs), version)
  t.same(verdict, { kind: 'failed', condition: 'If-Match' })
})
