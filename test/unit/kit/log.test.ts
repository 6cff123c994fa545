// The log says what an error was, whichever of the names it goes by.
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import t from 'tap'
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

/** Standard error of a process that runs `script`, in which there is a log. */
async function saidBy(script: string): Promise<{ said: string[]; code: number | null }> {
  const module = new URL('../../../src/kit/log.js', import.meta.url)
  const source = `import { openLog } from ${JSON.stringify(module)}\nconst log = openLog('info')\n${script}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source])
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  const lines = (await text(child.stderr)).trimEnd().split('\n')
  return { said: lines.map((line) => JSON.parse(line).msg), code: await ended }
}

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
