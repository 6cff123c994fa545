// How a decision gets onto a drive: as a draft that is synced and renamed. A writer that nobody waits for any more leaves
// its draft as it is: what it was to write may have been taken back meanwhile, and others may write to the drive again.
import { assert } from '../kit/assert.ts'
import { removeIfThere, writeNewFile } from '../kit/files.ts'
import type { World } from '../kit/world.ts'
import { decisionFileName } from './coordinator-format.ts'

/** A decision that is to become a file. */
export interface DecisionFile {
  directory: string
  epoch: number
  bytes: Uint8Array
  /** Of the draft, which no other writer uses. */
  draft: string
}

// The one without a number is of earlier versions.
const DRAFT = /^draft(-\d+)?$/

/** Whether a file beside the decisions is a draft. */
export function isDecisionDraft(name: string): boolean {
  return DRAFT.test(name)
}

/** Writes it, durably. Gives up, without a word, where it is not wanted any more. */
export async function writeDecision(
  world: Pick<World, 'disk'>,
  { directory, epoch, bytes, draft }: DecisionFile,
  isWanted: () => boolean,
): Promise<void> {
  assert(epoch >= 0, 'epochs do not go below zero')
  assert(isDecisionDraft(draft), 'a draft is known by its name')
  const path = `${directory}/${draft}`
  const target = `${directory}/${decisionFileName(epoch)}`
  await removeIfThere(world, path)
  // The state may hold the root secret: for the owner's eyes only.
  await writeNewFile(world, { path, bytes, permissions: 0o600 })
  if (!isWanted()) {
    await removeIfThere(world, path)
    return
  }
  await world.disk.rename(path, target)
  // Nobody else writes to the drive before this has ended, so what has the name is what came too late.
  if (!isWanted()) await removeIfThere(world, target)
  await world.disk.syncDirectory(directory)
}
