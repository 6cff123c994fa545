// The log says what an error was, whichever of the names it goes by.
import { type ChildProcess, spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { GatheredLines } from '../../../src/kit/gathered-lines.ts'
import { openLog } from '../../../src/kit/log.ts'

t.test('errors are written with type, message and stack', async (t) => {
  const lines: string[] = []
  const log = openLog('info', { write: (line) => lines.push(line) })
  const error = new TypeError('the disk is a lie', { cause: new Error('a worm') })
  log.warn({ error }, 'a look at it failed')
  log.error({ cause: error, drive: 3 }, 'and so did the next')
  const [first, second] = lines.map((line) => JSON.parse(line))
  t.match(first, {
    msg: 'a look at it failed',
    error: { type: 'TypeError', message: /a lie.*worm/ },
  })
  t.match(first.error.stack, /log\.test/)
  t.match(second, { drive: 3, cause: { message: /a lie/ } })
})

t.test('what is no error is written as it is', async (t) => {
  const lines: string[] = []
  openLog('info', { write: (line) => lines.push(line) }).info({ error: 'a sentence' }, 'said')
  t.match(JSON.parse(lines[0]!), { error: 'a sentence' })
})

/** A process that runs `script`, in which there is a log. */
function start(script: string, stderr: 'pipe' | number): ChildProcess {
  const module = new URL('../../../src/kit/log.js', import.meta.url)
  const source = `import { openLog } from ${JSON.stringify(module)}\nconst log = openLog('info')\n${script}`
  const arguments_ = ['--input-type=module', '-e', source]
  return spawn(process.execPath, arguments_, { stdio: ['ignore', 'ignore', stderr] })
}

function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve))
}

/** What it says on standard error. */
async function saidBy(script: string): Promise<{ said: string[]; code: number | null }> {
  const child = start(script, 'pipe')
  const ended = endOf(child)
  const lines = (await text(child.stderr!)).trimEnd().split('\n')
  return { said: lines.map((line) => JSON.parse(line).msg), code: await ended }
}

const SAYS_MUCH =
  "for (let at = 0; at < 300; at += 1) log.info({}, 'a line'.repeat(20)); log.warn({}, 'two')\n"

t.test('a process goes on, and ends, when nobody reads its log any more', async (t) => {
  const child = start(`${SAYS_MUCH}setTimeout(() => process.exit(3), 300)`, 'pipe')
  child.stderr!.destroy()
  t.equal(await endOf(child), 3)
})

t.test('likewise where the disk under it is full', async (t) => {
  const full = await open('/dev/full', 'w')
  t.teardown(() => full.close())
  t.equal(await endOf(start(`${SAYS_MUCH}setTimeout(() => process.exit(3), 300)`, full.fd)), 3)
})

t.test('a reader who is slow gets every line later, up to a MiB of them', async (t) => {
  let room = 5
  let read = ''
  const lines = new GatheredLines((bytes) => {
    if (room === 0) throw Object.assign(new Error('later'), { code: 'EAGAIN' })
    const count = Math.min(room, bytes.length)
    room -= count
    read += Buffer.from(bytes.subarray(0, count)).toString('latin1')
    return count
  })
  lines.lastLevel = 40
  lines.write('first\n')
  lines.write('second\n')
  t.equal(read, 'first')
  room = 1_000
  lines.write('third\n')
  t.equal(read, 'first\nsecond\nthird\n')
  room = 0
  lines.write('x'.repeat(1_100_000))
  lines.write('lost\n')
  room = 2_000_000
  read = ''
  while (read.length < 1_100_000) await new Promise((resolve) => setTimeout(resolve, 10))
  lines.write('heard\n')
  t.equal(read.replace(/x+/, ''), 'heard\n')
})

t.test('no line is lost at the end of a process, whatever ends it but a kill', async (t) => {
  const all = "for (let at = 0; at < 300; at += 1) log.info({ at }, 'a line'.repeat(20))\n"
  for (const end of ['process.exit(3)', 'setTimeout(() => {}, 1)', 'process.exitCode = 3']) {
    const { said } = await saidBy(all + end)
    t.equal(said.length, 300, end)
  }
})

t.test('a warning is written at once, and after what was said before', async (t) => {
  const { said, code } = await saidBy(
    "log.info({}, 'one'); log.warn({}, 'two'); log.info({}, 'lost'); process.kill(process.pid, 'SIGKILL')",
  )
  t.same(said, ['one', 'two'])
  t.equal(code, null)
})

t.test('other lines are written a moment later', async (t) => {
  const { said } = await saidBy(
    "log.info({}, 'one'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), 2_000)",
  )
  t.same(said, ['one'])
})
