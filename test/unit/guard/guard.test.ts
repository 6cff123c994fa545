// The guard with servers that only pretend: when it starts another one, what it tells it, and how it ends.
import t from 'tap'
import { Guard, type GuardEnd } from '../../../src/guard/guard.ts'
import {
  type Life,
  type Listening,
  readLife,
  readListening,
  writeLife,
} from '../../../src/guard/life.ts'
import { BUDGET_WINDOW_MS, PAUSES_MS } from '../../../src/guard/restart-budget.ts'
import type { ProcessEnd } from '../../../src/guard/server-process.ts'
import { type Log, silentLog } from '../../../src/kit/log.ts'

const LISTENING: Listening = { port: 4711, adminPort: 4712, logLevel: 'warn', memory: ['d'] }

/** A server that ends when the test says so. */
interface Pretended {
  life: Life
  signals: string[]
  listens: boolean
  end(how: ProcessEnd): void
}

/** A guard whose clock only moves when it waits. */
class Scene {
  nowMs = 1_000_000
  readonly servers: Pretended[] = []
  readonly logged: object[] = []
  readonly pausesMs: number[] = []
  readonly guard: Guard
  /** Called by every start: what that server does at once. */
  onStart: (server: Pretended) => void = () => {}
  onPause: () => void = () => {}

  constructor() {
    const log: Log = { ...silentLog, error: (data) => this.logged.push(data) }
    this.guard = new Guard({
      world: {
        clock: {
          now: () => this.nowMs,
          monotonicMs: () => this.nowMs,
          sleep: async (ms, signal) => {
            this.pausesMs.push(ms)
            this.nowMs += ms
            this.onPause()
            signal?.throwIfAborted()
          },
        },
      },
      openLog: async () => log,
      start: (life) => {
        let end: (how: ProcessEnd) => void = () => {}
        const ended = new Promise<ProcessEnd>((resolve) => {
          end = resolve
        })
        const server: Pretended = { life, signals: [], listens: true, end }
        this.servers.push(server)
        this.onStart(server)
        return {
          ended,
          listening: () => (server.listens ? LISTENING : undefined),
          signal: (signal) => server.signals.push(signal),
        }
      },
    })
  }
}

const CRASH: ProcessEnd = { kind: 'signal', signal: 'SIGSEGV' }

t.test(
  'an exit code, and a signal that somebody meant, are the end of the guard as well',
  async (t) => {
    const meant: ProcessEnd[] = [
      ...[0, 1, 2, 3, 4].map((code): ProcessEnd => ({ kind: 'exit', code })),
      { kind: 'signal', signal: 'SIGTERM' },
      { kind: 'signal', signal: 'SIGQUIT' },
    ]
    for (const how of meant) {
      const scene = new Scene()
      scene.onStart = (server) => server.end(how)
      t.same(await scene.guard.run(), how)
      t.equal(scene.servers.length, 1)
    }
  },
)

t.test('after a crash there is another server, which is told of it and of its ports', async (t) => {
  const crashes = ['SIGSEGV', 'SIGABRT', 'SIGBUS', 'SIGILL', 'SIGFPE', 'SIGKILL'] as const
  for (const signal of crashes) {
    const scene = new Scene()
    scene.onStart = (server) =>
      server.end(
        scene.servers.length === 1 ? { kind: 'signal', signal } : { kind: 'exit', code: 0 },
      )
    t.same(await scene.guard.run(), { kind: 'exit', code: 0 })
    t.same(
      scene.servers.map(({ life }) => life),
      [
        { restarts: { count: 0 } },
        {
          restarts: { count: 1, last: { signal, ms: 1_000_000 } },
          ports: { port: 4711, adminPort: 4712 },
          memory: ['d'],
        },
      ],
    )
    t.same(scene.logged, [{ signal, restarts: 1, pauseMs: 0 }])
  }
})

t.test('ports are remembered over a server that never listened', async (t) => {
  const scene = new Scene()
  scene.onStart = (server) => {
    server.listens = scene.servers.length === 2
    server.end(scene.servers.length < 5 ? CRASH : { kind: 'exit', code: 0 })
  }
  await scene.guard.run()
  const known = scene.servers.map(({ life }) => life.ports?.port)
  t.same(known, [undefined, undefined, 4711, 4711, 4711])
})

t.test('it gives up when it goes on, and not when it happens now and then', async (t) => {
  const often = new Scene()
  often.onStart = (server) => server.end(CRASH)
  const end = await often.guard.run()
  t.match(end, { kind: 'gave-up', sentence: /ended by SIGSEGV.* 10 times within 10 minutes/ })
  t.equal(often.servers.length, 1 + PAUSES_MS.length)
  t.same(often.pausesMs, PAUSES_MS.slice(1), 'the first time at once')

  const rare = new Scene()
  rare.onStart = (server) => {
    rare.nowMs += BUDGET_WINDOW_MS
    server.end(rare.servers.length <= 50 ? CRASH : { kind: 'exit', code: 0 })
  }
  t.same(await rare.guard.run(), { kind: 'exit', code: 0 })
  t.equal(rare.servers.length, 51)
  t.same(rare.pausesMs, [])
})

t.test('a signal is passed on once, and no server is started after it', async (t) => {
  const scene = new Scene()
  const running = scene.guard.run()
  for (const signal of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) scene.guard.passOn(signal)
  t.same(scene.servers[0]?.signals, ['SIGINT', 'SIGTERM'])
  scene.servers[0]?.end(CRASH)
  t.match(await running, { kind: 'gave-up', sentence: /on its way out/ })
  t.equal(scene.servers.length, 1)

  const pausing = new Scene()
  pausing.onStart = (server) => server.end(CRASH)
  pausing.onPause = () => pausing.guard.passOn('SIGTERM')
  t.same(await pausing.guard.run(), { kind: 'asked' } satisfies GuardEnd)
  t.equal(pausing.servers.length, 2, 'asked for in the first pause that there was')
})

t.test('what they tell each other', async (t) => {
  const life: Life = { restarts: { count: 2, last: { signal: 'SIGBUS', ms: 5 } } }
  t.same(readLife(writeLife(life)), life)
  const line = JSON.stringify(LISTENING)
  t.same(readListening(`${line}\n`), LISTENING)
  t.equal(readListening(line), undefined, 'half a line says nothing')
  t.equal(readListening(''), undefined)
  t.equal(readListening('{"port": 1}\n'), undefined)
})
