// What /proc says of a process and of the one that it started.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { ServerProcesses } from '../../../bench/server-processes.ts'

// Starts another one, works for a while, says so and waits.
const PROGRAM = `
  const child = require('node:child_process').spawn('sleep', ['60'])
  const until = process.cpuUsage().user + 100_000
  while (process.cpuUsage().user < until);
  console.log(child.pid)
  process.stdin.on('data', () => { child.kill(); process.exit() })`

t.test('CPU and memory of a process that was started with a word, and its child', async (t) => {
  const word = `of-${process.pid}-${Date.now()}`
  const child = spawn(process.execPath, ['-e', PROGRAM, word], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [text] = (await once(child.stdout, 'data')) as [Buffer]
  const processes = new ServerProcesses(word)
  t.strictSame(processes.pids().sort(), [child.pid!, Number(text.toString())].sort())
  const { cpuSeconds, peakMebibytes, sharedMebibytes } = processes.cost()
  t.ok(cpuSeconds >= 0.1, `${cpuSeconds} s`)
  t.ok(peakMebibytes > 10, `${peakMebibytes} MiB`)
  t.ok(sharedMebibytes > 1 && sharedMebibytes <= peakMebibytes, `${sharedMebibytes} MiB`)
  child.stdin.write('end')
  await once(child, 'close')
  t.strictSame(new ServerProcesses(word).cost(), {
    ...{ cpuSeconds: 0, peakMebibytes: 0, sharedMebibytes: 0 },
  })
})
