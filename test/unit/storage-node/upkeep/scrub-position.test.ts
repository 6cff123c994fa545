// How far the scrub has come, on the drives: the newest readable file counts, and no trouble with it matters.
import t from 'tap'
import { silentLog } from '../../../../src/kit/log.ts'
import {
  SCRUB_POSITION_FILE,
  ScrubPositions,
} from '../../../../src/storage-node/upkeep/scrub-position.ts'
import { ForgetfulMachine } from '../../../crash/forgetful-machine.ts'

t.test('the newest of all drives is found, whatever is wrong with the others', async (t) => {
  const { world, disk } = new ForgetfulMachine(1)
  const drives = ['/a', '/b', '/c'].map((path) => ({
    path,
    failure: undefined as unknown,
    run: <T>(work: () => Promise<T>): Promise<T> => work(),
  }))
  for (const { path } of drives) await disk.makeDirectory(path)
  const positions = new ScrubPositions({ world, log: silentLog, drives: () => drives })
  t.equal(await positions.load(), undefined)
  const counts = { blobs: 1, bytes: 2, mendedShards: 0, waiting: 0, unsettled: 0, unrepairable: 0 }
  const walk = { startedMs: 5, counts, at: 3, after: '00ff' }
  await positions.save({ savedMs: 10, walk })
  drives[1]!.failure = new Error('out')
  drives[2]!.run = () => Promise.reject(new Error('full'))
  await positions.save({ savedMs: 20, walk, lastVerifiedMs: 4 })
  drives[1]!.failure = undefined
  t.same(await positions.load(), { savedMs: 20, walk, lastVerifiedMs: 4 })
  disk.flip(`/a/${SCRUB_POSITION_FILE}`, 12)
  t.same(await positions.load(), { savedMs: 10, walk }, 'a damaged file is passed over')
})
