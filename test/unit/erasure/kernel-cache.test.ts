// The cache of kernels: what is used stays, and it never grows past its bound.
import t from 'tap'
import { KernelCache } from '../../../src/erasure/kernel-cache.ts'
import type { Kernel } from '../../../src/erasure/kernels/kernel.ts'

const newKernel = (): Kernel => () => {}

t.test('a kernel is made once while it is kept', async (t) => {
  const cache = new KernelCache(2)
  const first = cache.get(1, newKernel)
  t.equal(
    cache.get(1, () => t.fail('made twice') as never),
    first,
  )
})

t.test('the kernel not used for longest goes first', async (t) => {
  const cache = new KernelCache(2)
  const first = cache.get(1, newKernel)
  const second = cache.get(2, newKernel)
  cache.get(1, newKernel)
  cache.get(3, newKernel)
  t.equal(cache.size, 2)
  t.equal(cache.get(1, newKernel), first)
  t.not(cache.get(2, newKernel), second)
})

t.test('a kernel that could not be made is not kept', async (t) => {
  const cache = new KernelCache(1)
  const fail = (): Kernel => {
    throw new Error('no')
  }
  t.throws(() => cache.get(1, fail), { message: 'no' })
  t.equal(cache.size, 0)
  t.throws(() => new KernelCache(0), { name: 'AssertionFailed' })
})
