// The log says what an error was, whichever of the names it goes by.
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
