// The first lines of a start: what is to be pasted can be pasted, and what is dangerous is said.
import t from 'tap'
import { welcomeLines } from '../../../src/cli/welcome.ts'
import type { ServeConfig } from '../../../src/config.ts'
import type { Member } from '../../../src/member.ts'

const ADMIN = 'http://127.0.0.1:9001'

function linesOf(driveCount: number, parityCount: number, config: Partial<ServeConfig> = {}) {
  const code = { dataCount: driveCount - parityCount, parityCount, matrix: 1 }
  const member = {
    ...{ endpoint: 'http://0.0.0.0:9000', code, reducedCode: code, sharesDisk: false },
    drives: Array.from({ length: driveCount }, (_, at) => ({ path: `/d${at + 1}` })),
    credentials: { accessKeyId: 'KEY' },
    workerPids: () => (config.processes === 3 ? [7, 8] : []),
    readiness: () => ({ ready: true, degraded: [] }),
  } as unknown as Member
  const given = { region: 'us-east-1', processes: 1, ...config } as ServeConfig
  return welcomeLines(member, given, ADMIN).join('\n')
}

t.test('what is listened on is said, and what can be asked is pasted', async (t) => {
  const text = linesOf(6, 2)
  t.match(text, /^S3 endpoint {3}http:\/\/0\.0\.0\.0:9000$/m)
  t.match(text, /--endpoint-url http:\/\/127\.0\.0\.1:9000 s3 mb/)
  t.notMatch(text, /--endpoint-url http:\/\/0/)
})

t.test('a store that can lose no drive says so', async (t) => {
  t.notMatch(linesOf(6, 2), /loses/)
  t.match(linesOf(1, 0), /^The store has one drive: the loss of it loses everything\.$/m)
  t.match(linesOf(4, 0), /^The store has no parity: the loss of any drive loses data\.$/m)
})

t.test('processes are told where nobody said how many', async (t) => {
  t.notMatch(linesOf(1, 0), /Processes/)
  t.match(
    linesOf(1, 0, { processesByCores: 2 }),
    'Processes     1, chosen for 2 cores: this one does everything (--processes N sets the number)',
  )
  const several = linesOf(1, 0, { processes: 3, processesByCores: 3 })
  t.match(several, /^Processes {5}3, chosen for 3 cores: \d+ has the store, 7, 8 serve S3 \(--/m)
})
