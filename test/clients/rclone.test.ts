// rclone, as the guide for moving uses it: copy in, check, copy to a second store, check, and nothing left to copy.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { client, run, skipWithout } from './commands.ts'
import { rcloneRemote } from './rclone.ts'
import { hashTree, MEBIBYTE, writeSample, writeTree } from './sample-files.ts'
import { startStore, TEST_MS } from './store.ts'

t.setTimeout(TEST_MS)
t.test('moving with rclone', { timeout: TEST_MS, skip: skipWithout(['rclone']) }, async (t) => {
  const source = await startStore(t, 'http')
  const target = await startStore(t, 'http')
  const remotes = { ...rcloneRemote('OLD', source), ...rcloneRemote('NEW', target) }
  const environment = { ...source.environment, ...remotes, RCLONE_S3_LIST_VERSION: '2' }
  const rclone = client(t, 'rclone', environment)

  const tree = join(source.scratch, 'tree')
  mkdirSync(tree)
  writeTree(tree, 100)
  await writeSample(tree, 'big', 20 * MEBIBYTE)
  await rclone('mkdir', 'old:photos')
  await rclone('copy', tree, 'old:photos')
  t.match(await rclone('lsd', 'old:'), /photos/, 'the bucket is listed')

  const sync = async (): Promise<string> => {
    const args = ['sync', 'old:photos', 'new:photos', '--checksum', '--fast-list', '--metadata']
    const ran = await run('rclone', [...args, '--verbose'], { environment })
    t.equal(ran.code, 0, 'rclone sync')
    return ran.stderr
  }
  t.match(await sync(), /: Copied/, 'the first sync copies')
  t.notMatch(await sync(), /: Copied/, 'the second sync has nothing to copy')
  await rclone('check', 'old:photos', 'new:photos')
  await rclone('check', 'old:photos', 'new:photos', '--download')

  await rclone('copy', 'new:photos', join(target.scratch, 'back'))
  t.same(await hashTree(join(target.scratch, 'back')), await hashTree(tree), 'bytes after the move')
})
