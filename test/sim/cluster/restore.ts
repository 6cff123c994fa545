// What an operator does when etcd came back from a backup: what the members remember on their disks takes its place.
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import {
  type Evidence,
  restoreCoordinator,
} from '../../../src/placement/etcd/restore-coordinator.ts'
import { randomsFor } from '../randoms.ts'
import type { ClusterWorld } from './world.ts'

/** Restores it from all members; gives a line about it. */
export async function restoreFromMembers(world: ClusterWorld): Promise<string> {
  const evidence: Evidence[] = []
  for (const member of world.members) {
    const copy = await member.known()
    if (copy.kind === 'found') evidence.push({ name: member.name, known: copy.image })
  }
  const random = randomsFor(Math.round(world.time.nowMs), 'restored')
  const clock = {
    now: () => 0,
    monotonicMs: () => world.time.nowMs,
    sleep: (ms: number) => world.time.sleep(ms),
  }
  const bytes = { bytes: (count: number) => random.bytes(count) }
  const parts = { random: bytes, clock, http: world.etcd.http }
  const etcd = new EtcdClient({ endpoints: ['http://etcd:2379'] }, parts)
  const restored = await restoreCoordinator(evidence, {}, { etcd, world: parts })
  if (restored.kind !== 'forked') return `etcd is restored: ${JSON.stringify(restored)}`
  // Who was down when it was lost did not know better, and decided by it.
  const forsaken = await restoreCoordinator(evidence, { forsakeEtcd: true }, { etcd, world: parts })
  return `etcd is restored: ${JSON.stringify(forsaken)}`
}
