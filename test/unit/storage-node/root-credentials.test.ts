// The root key as a file: for its owner only, on every drive that takes it.
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { silentLog } from '../../../src/kit/log.ts'
import { realWorld } from '../../../src/kit/world.ts'
import { keepCredentials } from '../../../src/storage-node/root-credentials.ts'

const KEYS = { accessKeyId: 'KG1', secretAccessKey: 'secret' }
const PARTS = { world: realWorld(), log: silentLog }

function driveAt(path: string, failure?: Error) {
  mkdirSync(path)
  const run = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (failure) throw failure
    return operation()
  }
  return { path, run }
}

t.test('a drive that fails does not stop the others', async (t) => {
  const root = t.testdir()
  const bad = driveAt(join(root, 'bad'), new Error('full'))
  const good = driveAt(join(root, 'good'))
  const file = join(good.path, 'root-credentials')
  t.equal(await keepCredentials([bad, good], KEYS, PARTS), file)
  t.match(readFileSync(file, 'utf8'), 'aws_secret_access_key = secret')
  t.equal(statSync(file).mode & 0o777, 0o600)
  const { ino } = statSync(file)
  await keepCredentials([good], KEYS, PARTS)
  t.equal(statSync(file).ino, ino, 'written only when it says something else')
})

t.test('with no drive to keep it nobody could learn the key', async (t) => {
  const bad = driveAt(join(t.testdir(), 'bad'), new Error('full'))
  await t.rejects(keepCredentials([bad], KEYS, PARTS), /full/)
})
