// What a crash left of small files that were being replaced: drafts that never got their name. Most are overwritten
// by the next draft, but there may be no next one, and some hold secrets.

import { removeIfThere } from '../kit/files.ts'
import type { World } from '../kit/world.ts'
import { LATER_FILES } from './drive-format.ts'
import { dumpDirectory, isDumpDraft } from './dump/dump-files.ts'
import { ROOT_CREDENTIALS_FILE } from './root-credentials.ts'
import type { FileDrive } from './small-file.ts'

/** Drafts at the root of a drive; what else lies there is not ours to remove. */
const ROOT_DRAFTS = [
  ...['format.json', ROOT_CREDENTIALS_FILE, LATER_FILES.scrubPosition, LATER_FILES.stateCopy],
].map((name) => `${name}.tmp`)

/** Removes drafts from a drive to which nobody writes yet. What can not be removed throws as run() does. */
export async function removeDrafts({ disk }: Pick<World, 'disk'>, drive: FileDrive): Promise<void> {
  const dumps = dumpDirectory(drive)
  const rootNames = await drive.run(() => disk.list(drive.path))
  const dumpNames = rootNames.includes('dump') ? await drive.run(() => disk.list(dumps)) : []
  const drafts = [
    ...rootNames
      .filter((name) => ROOT_DRAFTS.includes(name))
      .map((name) => `${drive.path}/${name}`),
    ...dumpNames.filter(isDumpDraft).map((name) => `${dumps}/${name}`),
  ]
  for (const path of drafts) {
    await drive.run(() => removeIfThere({ disk }, path))
  }
}
