// Who is believed: hellos, welcomes, exchanges that are taken once.
import fc from 'fast-check'
import t from 'tap'
import { realWorld } from '../../../../src/kit/world.ts'
import { ClientSessions } from '../../../../src/storage-node/rpc/client-session.ts'
import { ReplayWindow } from '../../../../src/storage-node/rpc/replay-window.ts'
import type { Versions } from '../../../../src/storage-node/rpc/session-format.ts'
import { type NodeIdentity, Sessions } from '../../../../src/storage-node/rpc/sessions.ts'
import { identityOf, OTHER_SECRET, SECRET } from '../../../support/node-pair.ts'

const PATH = '/kintsugi/node/messages'
type Headers = Record<string, string>

interface Asking {
  identity?: NodeIdentity
  to?: string
  versions?: Versions
  /** Changes what is said or answered on its way. */
  change?: (headers: Headers, way: 'there' | 'back') => Headers
}

function asking(
  sessions: Sessions,
  { identity, to, versions, change }: Asking = {},
): ClientSessions {
  const onItsWay = change ?? ((headers: Headers) => headers)
  const options = { identity: identity ?? identityOf('g1'), to: to ?? 'n1', payloadBytesMax: 1000 }
  return new ClientSessions({ ...options, versions }, realWorld(), async (headers) => {
    const answer = sessions.welcome(onItsWay(headers, 'there'))
    return answer && onItsWay(answer, 'back')
  })
}

t.test('a session, and what is taken in it', async (t) => {
  const sessions = new Sessions(identityOf('n1'), realWorld())
  const session = await asking(sessions).get()
  const { headers } = session.begin(PATH, 1e9)
  t.match(sessions.take(PATH, headers), { session: { from: 'g1', version: 3 } })
  t.equal(sessions.take(PATH, headers), undefined, 'it is taken once')
  const next = session.begin(PATH, 1e9).headers
  t.equal(sessions.take('/kintsugi/node/shard', next), undefined, 'not for another path')
  for (const name of Object.keys(next)) {
    const text = next[name]!
    const changed = { ...next, [name]: text.slice(0, -1) + (text.endsWith('1') ? '2' : '1') }
    t.equal(sessions.take(PATH, changed), undefined, `not with another ${name}`)
    t.equal(sessions.take(PATH, { ...next, [name]: '' }), undefined)
    const { [name]: _, ...fewer } = next
    t.equal(sessions.take(PATH, fewer), undefined, `not without ${name}`)
  }
  t.ok(sessions.take(PATH, next), 'nothing of that has used it up')
})

t.test('who has another secret, or means another node, gets nothing', async (t) => {
  const sessions = new Sessions(identityOf('n1'), realWorld())
  const strangers: Asking[] = [
    { identity: identityOf('g1', [OTHER_SECRET]) },
    { identity: { ...identityOf('g1'), clusterId: 'another' } },
    { to: 'n2' },
  ]
  for (const stranger of strangers) {
    const error = { code: 'NODE_UNREACHABLE', outcome: 'not-sent' }
    await t.rejects(asking(sessions, stranger).get(), error)
  }
})

t.test('a hello or a welcome that was changed is not believed', async (t) => {
  const sessions = new Sessions(identityOf('n1'), realWorld())
  const names = {
    there: ['from', 'to', 'versions', 'nonce', 'secret', 'mac'],
    back: ['session', 'nonce', 'version', 'versions', 'clock', 'mac'],
  }
  for (const way of ['there', 'back'] as const) {
    for (const name of names[way]) {
      const change: Asking['change'] = (headers, at) => {
        if (at !== way) return headers
        const text = headers[`kintsugi-${name}`]!
        const other = text.startsWith('1') ? '2' : '1'
        return { ...headers, [`kintsugi-${name}`]: other + text.slice(1) }
      }
      const error = { code: 'NODE_UNREACHABLE' }
      await t.rejects(asking(sessions, { change }).get(), error, `${way}: ${name}`)
    }
  }
})

t.test('a welcome to an earlier hello is none', async (t) => {
  const sessions = new Sessions(identityOf('n1'), realWorld())
  let recorded: Headers | undefined
  const record: Asking['change'] = (headers, way) => {
    if (way === 'back') recorded ??= headers
    return way === 'back' ? recorded! : headers
  }
  await asking(sessions, { change: record }).get()
  await t.rejects(asking(sessions, { change: record }).get(), { code: 'NODE_UNREACHABLE' })
})

t.test('versions', async (t) => {
  const newer = new Sessions(identityOf('n1'), realWorld(), { oldest: 4, newest: 6 })
  const both = await asking(newer, { versions: { oldest: 3, newest: 5 } }).get()
  const { headers } = both.begin(PATH, 1e9)
  t.equal(newer.take(PATH, headers)?.session.version, 5, 'the newest that both have')
  await t.rejects(asking(newer).get(), {
    code: 'VERSIONS_TOO_FAR_APART',
    message: 'node n1 speaks versions 4 to 6 of the node protocol, we speak 3 to 3',
  })
})

t.test(
  'while secrets are changed, both are believed; one that was taken away is not',
  async (t) => {
    let known: Uint8Array[] = [SECRET]
    const sessions = new Sessions({ ...identityOf('n1'), secrets: () => known }, realWorld())
    const newFirst = asking(sessions, { identity: identityOf('g1', [OTHER_SECRET, SECRET]) })
    const session = await newFirst.get()
    t.ok(sessions.take(PATH, session.begin(PATH, 1e9).headers), 'the node has the old one only')
    known = [OTHER_SECRET, SECRET]
    const old = await asking(sessions, { identity: identityOf('g2', [SECRET]) }).get()
    t.ok(sessions.take(PATH, old.begin(PATH, 1e9).headers), 'the asker has the old one only')
    known = [OTHER_SECRET]
    t.equal(sessions.take(PATH, old.begin(PATH, 1e9).headers), undefined)
    await t.rejects(asking(sessions, { identity: identityOf('g2', [SECRET]) }).get())
    newFirst.drop(session)
    const renewed = await newFirst.get()
    t.ok(sessions.take(PATH, renewed.begin(PATH, 1e9).headers))
  },
)

t.test('hellos that are overheard and said again do not end a session that is used', async (t) => {
  const sessions = new Sessions(identityOf('n1'), realWorld())
  let hello: Headers | undefined
  const change: Asking['change'] = (headers, way) => {
    if (way === 'there') hello = headers
    return headers
  }
  const session = await asking(sessions, { change }).get()
  const first = session.begin(PATH, 1e9).headers
  t.ok(sessions.take(PATH, first))
  for (let again = 0; again < 600; again += 1) sessions.welcome(hello!)
  t.ok(sessions.take(PATH, session.begin(PATH, 1e9).headers))
  t.equal(sessions.take(PATH, first), undefined)
})

t.test('a process that begins session after session ends its own oldest only', async (t) => {
  const sessions = new Sessions(identityOf('n1'), realWorld())
  const other = await asking(sessions, { identity: identityOf('g2') }).get()
  t.ok(sessions.take(PATH, other.begin(PATH, 1e9).headers))
  const first = await asking(sessions).get()
  t.ok(sessions.take(PATH, first.begin(PATH, 1e9).headers))
  const used = first.begin(PATH, 1e9).headers
  t.ok(sessions.take(PATH, used))
  for (let count = 0; count < 70; count += 1) {
    const session = await asking(sessions).get()
    t.ok(sessions.take(PATH, session.begin(PATH, 1e9).headers))
  }
  t.ok(sessions.take(PATH, other.begin(PATH, 1e9).headers))
  t.equal(sessions.take(PATH, first.begin(PATH, 1e9).headers), undefined, 'it has to say hello')
  t.equal(sessions.take(PATH, used), undefined, 'and nothing of it can be repeated')
})

t.test('a replay window takes every number once, as a list of all of them does', async () => {
  const jump = fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: -40, max: 60 }) },
    fc.integer({ min: -1500, max: 3000 }),
  )
  fc.assert(
    fc.property(fc.array(jump, { maxLength: 300 }), (jumps) => {
      const window = new ReplayWindow()
      const taken = new Set<number>()
      let at = 0
      return jumps.every((by) => {
        at = Math.max(0, at + by)
        const isOld = at <= Math.max(-1, ...taken) - 1024
        const wanted = !taken.has(at) && !isOld
        if (wanted) taken.add(at)
        return window.take(at) === wanted
      })
    }),
    { seed: 6 },
  )
})

t.test('a deadline is never later on the other clock', async (t) => {
  const { random } = realWorld()
  const clockAt = (offsetMs: number, now: { ms: number }) => ({
    random,
    clock: { ...realWorld().clock, monotonicMs: () => now.ms + offsetMs },
  })
  const now = { ms: 1000.5 }
  const sessions = new Sessions(identityOf('n1'), clockAt(7_000_000.25, now))
  const asked = new ClientSessions(
    { identity: identityOf('g1'), to: 'n1', payloadBytesMax: 1000 },
    clockAt(0, now),
    async (headers) => {
      now.ms += 3
      const answer = sessions.welcome(headers)
      now.ms += 4
      return answer
    },
  )
  const session = await asked.get()
  const theirs = session.theirMs(2000)
  t.ok(theirs <= 2000 + 7_000_000.25)
  t.ok(theirs >= 2000 + 7_000_000.25 - 6, 'and at most as much earlier as the answer took')
})

t.test('a session whose hello took long is used only until there is a better one', async (t) => {
  const now = { ms: 1000 }
  let wayMs = 2_500
  const { random } = realWorld()
  const world = { random, clock: { ...realWorld().clock, monotonicMs: () => now.ms } }
  const sessions = new Sessions(identityOf('n1'), world)
  const asked = new ClientSessions(
    { identity: identityOf('g1'), to: 'n1', payloadBytesMax: 1000 },
    world,
    async (headers) => {
      const answer = sessions.welcome(headers)
      now.ms += wayMs
      return answer
    },
  )
  const hasty = await asked.get()
  t.ok(hasty.theirMs(now.ms + 2_000) < now.ms, 'what has two seconds seems to be late there')
  t.equal(await asked.get(), hasty)
  now.ms += 1_000
  wayMs = 5
  const better = await asked.get()
  t.not(better, hasty)
  t.ok(better.theirMs(now.ms + 2_000) >= now.ms + 1_990)
  now.ms += 60_000
  t.equal(await asked.get(), better)
})
