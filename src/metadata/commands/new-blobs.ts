// Blobs that a row comes to name by a command: they were written for it and had no row before. One that may have been judged to
// be an orphan meanwhile is refused, so that a verdict holds for ever (docs/decisions/0022-orphans-of-a-cluster.md).
import { Overloaded } from '../../kit/semaphore.ts'
import { uidTimeMs } from '../../kit/uid.ts'
import type { Command } from '../contract.ts'
import type { Blob } from '../records.ts'
import type { Context } from './decision.ts'

/** Blobs that are named only because of the command: what it only rewrites is named already. */
export function newBlobsOf(command: Command): Blob[] {
  switch (command.kind) {
    case 'put-object': {
      const blobs = command.version.blob ? [command.version.blob] : []
      for (const { blob } of command.annotations ?? []) if (blob) blobs.push(blob)
      return blobs
    }
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

/** Throws Overloaded, for nothing was done: whoever wrote it begins again, under a new uid. */
export function refuseJudged(command: Command, { judgedMs }: Context): void {
  if (newBlobsOf(command).some(({ uid }) => uidTimeMs(uid) <= judgedMs))
    throw new Overloaded('it was begun too long ago to be committed now')
}
