// A census of uploads: exact while they are few, a minute old at most when they are many.
import t from 'tap'
import type { UploadCensus } from '../../../src/metadata/contract.ts'
import { KeptCensus } from '../../../src/objects/upload-census.ts'

function open() {
  const state = { now: 0, uploads: 0, parts: 0, counts: 0, fails: false }
  const census = new KeptCensus({
    clock: { monotonicMs: () => state.now },
    count: async (): Promise<UploadCensus> => {
      state.counts += 1
      if (state.fails) throw new Error('nobody knows')
      return { count: state.uploads, parts: state.parts, bytes: 0, oldestMs: undefined }
    },
  })
  return { state, census }
}

t.test('few uploads are counted at every call', async (t) => {
  const { state, census } = open()
  for (const uploads of [0, 1, 1000, 999]) {
    state.uploads = uploads
    t.equal((await census.take()).count, uploads)
  }
  t.equal(state.counts, 4)
})

t.test('many are counted once a minute, for all who ask', async (t) => {
  const { state, census } = open()
  state.uploads = 5000
  t.equal((await census.take()).count, 5000)
  state.uploads = 6000
  state.now = 59_999
  t.equal((await census.take()).count, 5000)
  t.equal(state.counts, 1)
  state.now = 60_000
  const taken = await Promise.all([census.take(), census.take(), census.take()])
  t.same(
    taken.map(({ count }) => count),
    [6000, 6000, 6000],
  )
  t.equal(state.counts, 2)
  state.uploads = 3
  state.now = 120_000
  t.equal((await census.take()).count, 3)
  state.uploads = 4
  t.equal((await census.take()).count, 4, 'few again')
})

t.test('few uploads of many parts are many', async (t) => {
  const { state, census } = open()
  state.uploads = 1
  state.parts = 5000
  await census.take()
  await census.take()
  t.equal(state.counts, 1)
})

t.test('a census that fails is not kept', async (t) => {
  const { state, census } = open()
  state.uploads = 5000
  await census.take()
  state.now = 60_000
  state.fails = true
  await t.rejects(census.take(), { message: 'nobody knows' })
  state.fails = false
  t.equal((await census.take()).count, 5000)
})
