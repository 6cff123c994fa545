// A latch is held once, and let go once.
import t from 'tap'
import type { Uid } from '../../../../src/kit/uid.ts'
import { BlobLatch } from '../../../../src/storage-node/upkeep/blob-latch.ts'

const ONE = '11'.repeat(16) as Uid
const OTHER = '22'.repeat(16) as Uid

t.test('a blob is held by one', async (t) => {
  const latch = new BlobLatch()
  const letGo = latch.tryHold(ONE)
  t.ok(letGo)
  t.equal(latch.tryHold(ONE), undefined)
  t.ok(latch.tryHold(OTHER))
  letGo?.()
  t.ok(latch.tryHold(ONE))
  t.equal(latch.tryHold(OTHER), undefined)
})

t.test('who let go lets nobody else go', async (t) => {
  const latch = new BlobLatch()
  const first = latch.tryHold(ONE)
  first?.()
  t.ok(latch.tryHold(ONE))
  first?.()
  t.equal(latch.tryHold(ONE), undefined)
})
