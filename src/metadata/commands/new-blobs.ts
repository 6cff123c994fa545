// Blobs that a row comes to name by a command: they were written for it and had no row before. One that is too old by the time
// of the log is refused, so that it can be told for ever of shards that no row names (docs/decisions/0022-orphans-of-a-cluster.md).
import { Overloaded } from '../../kit/semaphore.ts'
import { type Uid, uidTimeMs } from '../../kit/uid.ts'
import type { Command } from '../contract.ts'
import type { Blob } from '../records.ts'
import type { Context } from './decision.ts'
import { timeMs } from './log-time.ts'

/** Blobs that are named only because of the command: what it only rewrites is named already. */
export function newBlobsOf(command: Command): Blob[] {
  switch (command.kind) {
    case 'put-object':
      return [command.version.blob, ...(command.annotations ?? []).map(({ blob }) => blob)].flatMap(
        (blob) => blob ?? [],
      )
    case 'put-annotation':
      return command.annotation.blob ? [command.annotation.blob] : []
    case 'append-object':
    case 'put-part':
      return command.part.blob ? [command.part.blob] : []
    case 'replace-blob':
      return [command.blob]
    default:
      return []
  }
}

/** Whether no row may come to name the blob any more. Once it is so it stays so: times of a log never go back. */
export function isPastNaming(uid: Uid, time: bigint, blobAgeMsMax: number): boolean {
  return uidTimeMs(uid) < timeMs(time) - blobAgeMsMax
}

/** Throws Overloaded, for nothing was done: whoever wrote it begins again, under a new uid. */
export function refusePastNaming(command: Command, { time, blobAgeMsMax }: Context): void {
  if (blobAgeMsMax === undefined) return
  if (newBlobsOf(command).some(({ uid }) => isPastNaming(uid, time, blobAgeMsMax)))
    throw new Overloaded('it was begun too long ago to be committed now')
}
