// Cores that a process may use, by the quota of its container.
import { availableParallelism } from 'node:os'
import t from 'tap'
import { coresOfQuota, usableCores } from '../../../src/kit/cores.ts'

function withFiles(files: Record<string, string>): number {
  return coresOfQuota((path) => files[path])
}

t.test('the quota of a container, rounded up', async (t) => {
  const max = (text: string): number => withFiles({ '/sys/fs/cgroup/cpu.max': text })
  t.equal(max('200000 100000\n'), 2)
  t.equal(max('150000 100000\n'), 2)
  t.equal(max('5000 100000\n'), 1)
  t.equal(max('max 100000\n'), Number.POSITIVE_INFINITY)
})

t.test('the same of control groups of version 1', async (t) => {
  const limited = (quota: string): number =>
    withFiles({
      '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': quota,
      '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
    })
  t.equal(limited('300000\n'), 3)
  t.equal(limited('-1\n'), Number.POSITIVE_INFINITY)
})

t.test('without control groups the machine is the limit', async (t) => {
  t.equal(withFiles({}), Number.POSITIVE_INFINITY)
  t.ok(usableCores() >= 1)
  t.ok(usableCores() <= availableParallelism())
})
