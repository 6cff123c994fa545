// The gauges of uploads: counted when they are asked for, at most once a minute, and never in the way of others.
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { Registry } from '../../../src/kit/metrics.ts'
import type { Clock } from '../../../src/kit/world.ts'
import { watchUploads } from '../../../src/objects/metrics.ts'
import type { UploadCensus } from '../../../src/objects/object-store.ts'

const START_MS = 1_000_000

function open(census: () => UploadCensus) {
  const registry = new Registry()
  const state = { nowMs: START_MS, asked: 0, warnings: 0 }
  const clock = { now: () => state.nowMs, monotonicMs: () => state.nowMs } as Clock
  const warn = (): void => {
    state.warnings += 1
  }
  const countUploads = async (): Promise<UploadCensus> => {
    state.asked += 1
    return census()
  }
  const log = { ...silentLog, warn }
  watchUploads({ objects: { countUploads }, registry, clock, log })
  const read = async (): Promise<{ uploads: number; bytes: number; seconds: number }> => {
    const text = await registry.metrics()
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
    return {
      uploads: value('kintsugi_multipart_uploads'),
      bytes: value('kintsugi_multipart_upload_bytes'),
      seconds: value('kintsugi_multipart_upload_oldest_seconds'),
    }
  }
  return { state, read }
}

t.test('the number of uploads and the age of the oldest', async (t) => {
  const { state, read } = open(() => ({
    count: 3,
    parts: 2,
    bytes: 700,
    oldestMs: START_MS - 5_000,
  }))
  t.same(await read(), { uploads: 3, bytes: 700, seconds: 5 })
  state.nowMs += 59_000
  t.same(await read(), { uploads: 3, bytes: 700, seconds: 64 }, 'it grows older')
  t.equal(state.asked, 1, 'asked once for both, and for a minute')
  state.nowMs += 1_000
  await read()
  t.equal(state.asked, 2)
})

t.test('no uploads have no age', async (t) => {
  const { read } = open(() => ({ count: 0, parts: 0, bytes: 0, oldestMs: undefined }))
  t.same(await read(), { uploads: 0, bytes: 0, seconds: 0 })
})

t.test('a count that fails leaves the last one', async (t) => {
  let fails = false
  const { state, read } = open(() => {
    if (fails) throw new Error('no quorum')
    return { count: 2, parts: 0, bytes: 0, oldestMs: START_MS }
  })
  await read()
  fails = true
  state.nowMs += 60_000
  t.same(await read(), { uploads: 2, bytes: 0, seconds: 60 })
  t.equal(state.warnings, 1)
})
