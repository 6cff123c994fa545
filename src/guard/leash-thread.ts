// The thread that waits for the end of the guard, and kills the process then, as whoever killed the guard wanted.
import { Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'
import { LEASH_FD } from './life.ts'

const leash = new Socket({ fd: LEASH_FD, readable: true, writable: true })

function end(): void {
  process.kill(process.pid, 'SIGKILL')
}

leash.on('end', end)
leash.on('close', end)
// What follows is close.
leash.on('error', () => {})
leash.resume()

parentPort?.on('message', (line: string) => {
  leash.write(line, () => parentPort?.postMessage('told'))
})
