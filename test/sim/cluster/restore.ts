// What an operator does when etcd came back from a backup: what the members remember on their disks takes its place.
import { CoordinatorUnavailable } from '../../../src/placement/coordinator.ts'
import { EtcdClient } from '../../../src/placement/etcd/etcd-client.ts'
import { DEFAULT_PREFIX, IMAGE } from '../../../src/placement/etcd/mirror.ts'
import {
  type Evidence,
  type RestoreOutcome,
  restoreCoordinator,
} from '../../../src/placement/etcd/restore-coordinator.ts'
import { fromJson, HEAD_KEY, type Head } from '../../../src/placement/etcd/state-keys.ts'
import type { SimulatedEtcd } from '../../support/simulated-etcd.ts'
import { randomsFor } from '../randoms.ts'
import type { ClusterWorld } from './world.ts'

/** The epoch of the state in a backup. */
export function epochOfBackup({ keys }: ReturnType<SimulatedEtcd['backup']>): number {
  const name = Buffer.from(`${DEFAULT_PREFIX}${IMAGE}${HEAD_KEY}`).toString('base64')
  const { epoch } = fromJson(Buffer.from(keys.get(name)!.value, 'base64')) as Head
  return epoch
}

/** Those who did not hear yet that etcd is another one write to it for a moment. */
const TRIES_MAX = 20

/** Restores it from all members, as often as it says so; gives a line about it. */
export async function restoreFromMembers(world: ClusterWorld): Promise<string> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await restoreOnce(world)
    } catch (error) {
      if (!(error instanceof CoordinatorUnavailable) || tries >= TRIES_MAX) throw error
    }
  }
}

async function restoreOnce(world: ClusterWorld): Promise<string> {
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
  // Who was down when it was lost, or heard nothing of etcd, did not know better, and decided by it.
  const options = { forsakeEtcd: true }
  const forsaken = await restoreCoordinator(evidence, options, { etcd, world: parts })
  if (forsaken.kind !== 'forked') return `etcd is restored: ${JSON.stringify(forsaken)}`
  const fewer = fewerOf(forsaken)
  const others = evidence.filter(({ name }) => !fewer.includes(name))
  const outcome = await restoreCoordinator(others, options, { etcd, world: parts })
  return `etcd is restored: ${JSON.stringify({ ...outcome, without: fewer })}`
}

function fewerOf({ newest, others }: RestoreOutcome & { kind: 'forked' }): readonly string[] {
  return newest.length < others.length ? newest : others
}
