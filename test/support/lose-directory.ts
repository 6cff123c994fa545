// A directory goes away under whoever writes in it.
import { rm } from 'node:fs/promises'

/**
 * Removes a directory and all in it, if need be again: a server that runs may make a file in it in the meantime, and
 * then it is not empty (ENOTEMPTY). Rejects when there is no such directory: nothing would be lost.
 */
export async function loseDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, maxRetries: 20, retryDelay: 20 })
}
