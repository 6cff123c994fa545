// Whether a drive still remembers what it was told: every decision file is read and held against its checksum.
import type { World } from '../kit/world.ts'
import { decodeDecision, epochOfFileName } from './coordinator-format.ts'

/** Files of one drive. */
export interface DecisionFiles {
  directory: string
  /** Of the decision that holds. */
  epoch: number
  bytes: Uint8Array
}

/** `lacksLast`: the decision that holds is not there as it was written. `rotten`: older ones that are no good. */
export interface DecisionLook {
  files: number
  lacksLast: boolean
  rotten: string[]
}

/** Reads them all. */
export async function lookAtDecisions(
  { disk }: Pick<World, 'disk'>,
  { directory, epoch, bytes }: DecisionFiles,
): Promise<DecisionLook> {
  const look: DecisionLook = { files: 0, lacksLast: true, rotten: [] }
  for (const name of await disk.list(directory)) {
    const found = epochOfFileName(name)
    if (found === undefined || found > epoch) continue
    look.files += 1
    const read = await disk.readFile(`${directory}/${name}`)
    if (found === epoch) look.lacksLast = Buffer.compare(read, bytes) !== 0
    else if (decodeDecision(read)?.state.epoch !== found) look.rotten.push(name)
  }
  return look
}
