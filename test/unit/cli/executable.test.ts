// The executable of a clone: it can be run, and says so where nothing was built.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PROGRAM } from '../../support/run-program.ts'

t.test('it is executable', async (t) => {
  t.equal(statSync(PROGRAM).mode & 0o111, 0o111)
})

t.test('without what is built it says one sentence', async (t) => {
  const bin = join(t.testdir(), 'bin')
  mkdirSync(bin)
  const copy = join(bin, 'kintsugi.cjs')
  copyFileSync(PROGRAM, copy)
  const { status, stderr } = spawnSync(process.execPath, [copy, 'serve'], { encoding: 'utf8' })
  t.equal(status, 1)
  t.equal(stderr, 'kintsugi: not built yet: npm start builds it, or npm run build.\n')
})
