// What a crash left of small files that were being replaced: drafts that never got their name. Most are overwritten
// by the next draft, but there may be no next one, and some hold secrets.
import { removeIfThere } from '../kit/files.ts'
import type { World } from '../kit/world.ts'
import { dumpDirectory, isDumpDraft } from './dump/dump-files.ts'
import type { FileDrive } from './small-file.ts'
import { STATE_COPY_FILE } from './state-copy.ts'

/** Drafts at the root of a drive; what else lies there is not ours to remove. */
const ROOT_DRAFTS = ['format.json', 'root-credentials', 'scrub-position', STATE_COPY_FILE].map(
  (name) => `${name}.tmp`,
)

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
