// Looks at files without a trip to another thread. What a local file system says of a file that is open, and of the way that leads
// to it, lies in memory: it waits for no device, be that hung or gone. Elsewhere a look may wait for a server, so nobody looks.
import { realpath, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

// By the numbers that statfs gives (man 2 statfs). They answer out of the inode, without a lock that somebody holds over I/O.
const LOCAL = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x01021994, // tmpfs
])

/** The root of a container: fit for the way to a drive, which leads through names alone. */
const OVERLAY = 0x794c7630

/**
 * Whether a file that is open below `path` is looked at in memory: names that lead to an open file are held there with it. Not so
 * where the way leads through symbolic links, which are not, or over file systems of which it is not known.
 */
export async function isSeenInMemory(path: string): Promise<boolean> {
  if (process.platform !== 'linux') return false
  const whole = resolve(path)
  try {
    if ((await realpath(whole)) !== whole || !LOCAL.has((await statfs(whole)).type)) return false
    for (let at = whole; at !== dirname(at); at = dirname(at)) {
      const { type } = await statfs(dirname(at))
      if (!LOCAL.has(type) && type !== OVERLAY) return false
    }
    return true
  } catch {
    return false // What can not be known is taken for the worse.
  }
}
