// How many cores this process may use: those of the machine, or fewer where a container was given a part of them.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

/** Cores that this process may use at the same time, at least 1. A quota of one and a half counts as two. */
export function usableCores(): number {
  return Math.min(availableParallelism(), coresOfQuota(readIfThere))
}

/**
 * What the control group of the process allows (https://docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.max`; version 1:
 * `cpu.cfs_quota_us`); Infinity without a limit. Node 20 does not look there. `read` gives undefined for what is not there.
 */
export function coresOfQuota(read: (path: string) => string | undefined): number {
  const [quota, period] =
    read('/sys/fs/cgroup/cpu.max')?.split(' ') ??
    ['quota', 'period'].map((name) => read(`/sys/fs/cgroup/cpu/cpu.cfs_${name}_us`))
  const cores = Math.ceil(Number(quota) / Number(period))
  return cores >= 1 ? cores : Number.POSITIVE_INFINITY
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // No control groups here, or nobody may look: then there is no limit that we could know.
    return undefined
  }
}
