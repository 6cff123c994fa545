// kintsugi new-key: makes a file of encryption keys, or adds a key to one that a running store then uses.
import { addKey, KeyFileWrong } from '../encryption/key-file.ts'
import { Exit } from '../exit.ts'
import { realWorld } from '../kit/world.ts'

/** Adds a key to the file and says so; the key itself is never printed. Throws Exit. */
export async function newKey(path: string): Promise<void> {
  const id = await addKey(path, realWorld()).catch((error: Error) => {
    throw new Exit(2, `${path} ${refusal(error)}`, { cause: error })
  })
  process.stdout.write(`key ${id} is in ${path}: keep a copy of the file, apart from the drives\n`)
}

function refusal(error: Error): string {
  return error instanceof KeyFileWrong
    ? `is no key file: ${error.message}`
    : `can not be written: ${error.message}`
}
