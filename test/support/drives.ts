// Drives of a test server by the command line, and objects that must outlive whatever is done with them.
import { randomBytes } from 'node:crypto'
import type { DriveDetails, DriveList } from '../../src/gateway/admin-api.ts'
import { type Ended, ROOT_KEYS, runProgram } from './run-program.ts'
import { S3Client } from './s3.ts'
import type { TestServer } from './server.ts'

/** Runs `kintsugi drive …` in the directory of the test. */
export function ask(cwd: string, server: TestServer, ...words: string[]): Promise<Ended> {
  return run(cwd, server, 'drive', ...words)
}

/** Runs a command about a running store in the directory of the test. */
export function run(cwd: string, { endpoint }: TestServer, ...words: string[]): Promise<Ended> {
  return runProgram([...words, '--endpoint', endpoint], { cwd, environment: ROOT_KEYS })
}

/** What `kintsugi drive list` tells programs. */
export async function listOf(cwd: string, server: TestServer): Promise<DriveList> {
  const { code, stdout, stderr } = await ask(cwd, server, 'list', '--json')
  if (code !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as DriveList
}

/** The drives of the store. */
export async function drivesOf(cwd: string, server: TestServer): Promise<readonly DriveDetails[]> {
  return (await listOf(cwd, server)).drives
}

/** One of them. */
export async function driveOf(cwd: string, server: TestServer, id: number): Promise<DriveDetails> {
  const found = (await drivesOf(cwd, server)).find((drive) => drive.id === id)
  if (found === undefined) throw new Error(`no drive ${id}`)
  return found
}

/** Objects of all sizes, and whether they are there. */
export class Contents {
  readonly #objects = new Map<string, Buffer>()

  async put({ endpoint }: TestServer, count: number): Promise<void> {
    const client = new S3Client(endpoint)
    for (let number = 0; number < count; number += 1) {
      const key = `k${this.#objects.size}`
      const bytes = randomBytes(number % 4 === 0 ? 1_500_000 : 3_000 + number)
      if ((await client.put('bucket', key, bytes)).status !== 200) throw new Error(key)
      this.#objects.set(key, bytes)
    }
    client.close()
  }

  /** Keys that are not as they were written. */
  async differences({ endpoint }: TestServer): Promise<string[]> {
    const client = new S3Client(endpoint)
    const wrong: string[] = []
    for (const [key, bytes] of this.#objects) {
      const { status, body } = await client.get('bucket', key)
      if (status !== 200 || !body.equals(bytes)) wrong.push(key)
    }
    client.close()
    return wrong
  }
}
