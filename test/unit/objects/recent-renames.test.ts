// What is remembered of renames by their tokens: for 15 minutes, of the last 1,000.
import t from 'tap'
import { RecentRenames } from '../../../src/objects/recent-renames.ts'

const RENAME = { bucketId: 1, source: 'a', target: 'b' }

t.test('a token stands for one rename, for its time', async (t) => {
  const clock = { ms: 5, now: () => clock.ms }
  const renames = new RecentRenames(clock)
  t.equal(renames.recall('token', RENAME), 'unknown')
  renames.note('token', RENAME)
  t.equal(renames.recall('token', { ...RENAME }), 'done')
  for (const other of [{ bucketId: 2 }, { source: 'c' }, { target: 'c' }])
    t.equal(renames.recall('token', { ...RENAME, ...other }), 'another')
  clock.ms += 15 * 60_000
  t.equal(renames.recall('token', RENAME), 'done')
  clock.ms += 1
  t.equal(renames.recall('token', RENAME), 'unknown')
})

t.test('the oldest is forgotten first', async (t) => {
  const renames = new RecentRenames({ now: () => 0 })
  for (let at = 0; at < 1_000; at += 1) renames.note(`token-${at}`, RENAME)
  renames.note('token-0', RENAME)
  renames.note('one more', RENAME)
  t.equal(renames.recall('token-0', RENAME), 'done', 'it was done again')
  t.equal(renames.recall('token-1', RENAME), 'unknown')
  t.equal(renames.recall('token-2', RENAME), 'done')
})
