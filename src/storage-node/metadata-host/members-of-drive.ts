// What metadata partitions have on one drive.
import type { Member } from './member.ts'
import type { HostedPartition } from './partition.ts'

type Partitions = ReadonlyMap<number, HostedPartition>

/** All replicas on a drive, learners too. */
export function membersOn(partitions: Partitions, driveId: number): Member[] {
  return [...partitions.values()]
    .flatMap(({ members }) => members)
    .filter((member) => member.driveId === driveId)
}

/** Copies that are under way to a drive are given up. Those that may count already leave by a decision. */
export function removeLearners(partitions: Partitions, driveId: number): void {
  for (const partition of partitions.values()) {
    for (const member of partition.members) {
      if (member.driveId === driveId) partition.removeLearner(member)
    }
  }
}

/** Whether a replica on a drive may come to count, or not, at any moment. */
export function isJoiningOn(partitions: Partitions, driveId: number): boolean {
  return membersOn(partitions, driveId).some(({ role }) => role === 'joining')
}

/** Whether a drive holds what can be read nowhere else. */
export function isOnlyCopy(partitions: Partitions, driveId: number): boolean {
  return [...partitions.values()].some((partition) => {
    const holds = partition.members.some(
      (member) => member.driveId === driveId && member.role === 'voter',
    )
    return holds && !partition.readers.some((member) => member.driveId !== driveId)
  })
}

/** LevelDB may end the process over a rotten table: nothing reads it any more, unless there is no other copy. */
export function readNoMore(partitions: Partitions, driveId: number): void {
  if (isOnlyCopy(partitions, driveId)) return
  for (const member of membersOn(partitions, driveId)) member.readable = false
}
