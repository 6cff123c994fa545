// Why something can not be done with a drive, in a sentence for whoever asked, with the way out of it.
import { isMissing } from '../kit/world.ts'

/** Thrown by a command that does nothing; its message is for people. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code = 'REFUSED'
}

/** By the codes of errors of ours. `subject`: the directory or the drive. */
const SENTENCES: Readonly<Record<string, (subject: string) => string>> = {
  DRIVE_LOCKED: (subject) => `${subject} is in use by another process: end that first.`,
  DRIVE_FORKED: (subject) =>
    `${subject} went on without the other drives: the two histories are never merged. Empty it to add it as a new drive.`,
  NEEDS_START: (subject) =>
    `${subject} has the last copy of some metadata: stop the store and start it again with that drive.`,
  STILL_CLOSING: (subject) =>
    `what was under way at ${subject} when the drive failed has not ended: try again in a while, or start the store anew.`,
  COORDINATOR_UNAVAILABLE: () =>
    'the drives can not remember it: is there room on them? Nothing was changed.',
}

/** The sentence for what was thrown; undefined for what nobody expects. */
export function refusalOf(error: unknown, subject: string): string | undefined {
  if (error instanceof Refused) return error.message
  const { code = '', message } = error as { code?: string; message?: string }
  const say = SENTENCES[code]
  if (say !== undefined) return say(subject)
  // What file systems say: no permission, no room, read-only.
  const isFromDisk = isMissing(error) || /^E[A-Z]+$/.test(code) || code === 'DRIVE_UNAVAILABLE'
  return isFromDisk ? `${subject} can not be used: ${message}.` : undefined
}
