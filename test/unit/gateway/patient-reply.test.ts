// Pitfall 100: a long copy keeps its client with white space after the declaration, and may still end in an error.
import t from 'tap'
import type { Reply } from '../../../src/gateway/call.ts'
import { asS3Error } from '../../../src/gateway/error-reply.ts'
import { patientReply } from '../../../src/gateway/patient-reply.ts'
import { S3Error } from '../../../src/gateway/s3-error.ts'

/** A clock whose sleeps end when the test says so. */
function steppedClock() {
  const sleepers: (() => void)[] = []
  const sleep = (_ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      sleepers.push(resolve)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  return {
    clock: { now: () => 0, monotonicMs: () => 0, sleep },
    step: () => {
      for (const wake of sleepers.splice(0)) wake()
    },
  }
}

const describe = (error: S3Error): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${error.code}</Code></Error>`
const signal = new AbortController().signal
const copied: Reply = {
  status: 200,
  body: { kind: 'text', text: '<?xml version="1.0" encoding="UTF-8"?>\n<CopyObjectResult/>' },
}

async function textOf(reply: Reply, step: () => void): Promise<string> {
  if (reply.body?.kind !== 'trickle') throw new Error('it does not trickle')
  let text = ''
  for await (const piece of reply.body.chunks) {
    text += piece
    setImmediate(step)
  }
  return text
}

t.test(
  'a quick answer is passed on as it is, an early error is thrown with its status',
  async (t) => {
    const { clock } = steppedClock()
    t.equal(await patientReply(Promise.resolve(copied), { clock, describe, signal }), copied)
    const refused = Promise.reject(new S3Error('NoSuchKey'))
    await t.rejects(patientReply(refused, { clock, describe, signal }), { code: 'NoSuchKey' })
  },
)

t.test('a slow one: declaration, spaces, document without a second declaration', async (t) => {
  const { clock, step } = steppedClock()
  let spaces = 0
  let finish: (reply: Reply) => void = () => {}
  const running = new Promise<Reply>((resolve) => {
    finish = resolve
  })
  const replying = patientReply(running, { clock, describe, signal })
  setImmediate(step)
  const reply = await replying
  t.equal(reply.status, 200)
  const text = await textOf(reply, () => {
    spaces += 1
    if (spaces === 3) finish(copied)
    step()
  })
  t.match(text, /^<\?xml version="1.0" encoding="UTF-8"\?>\n +<CopyObjectResult\/>$/)
})

t.test('a slow one that fails says so in its 200', async (t) => {
  const { clock, step } = steppedClock()
  let fail: (error: Error) => void = () => {}
  const running = new Promise<Reply>((_resolve, reject) => {
    fail = reject
  })
  const replying = patientReply(running, { clock, describe, signal })
  setImmediate(step)
  const text = await textOf(await replying, () => fail(new S3Error('SlowDown')))
  t.match(text, /^<\?xml[^>]*>\n *<Error><Code>SlowDown<\/Code><\/Error>$/)
})

t.test('behind a 200 what does not answer is told as clients know it there', async (t) => {
  const { clock, step } = steppedClock()
  let fail: (error: Error) => void = () => {}
  const running = new Promise<Reply>((_resolve, reject) => {
    fail = reject
  })
  const lost = Object.assign(new Error('no majority'), { code: 'METADATA_UNAVAILABLE' })
  t.match(asS3Error(lost), { code: 'ServiceUnavailable', status: 503 })
  let told: S3Error | undefined
  const parts = {
    clock,
    signal,
    describe: (error: S3Error) => {
      told = error
      return describe(error)
    },
  }
  const replying = patientReply(running, parts)
  setImmediate(step)
  const text = await textOf(await replying, () => fail(lost))
  t.match(text, /<Error><Code>InternalError<\/Code><\/Error>$/)
  t.equal(told?.message, 'We encountered an internal error. Please try again.')
  t.equal(told?.cause, lost, 'the log names the cause')
})
