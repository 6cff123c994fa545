// Memory of a buffer that is freed at once. The garbage collector counts what buffers have outside of its heap: those of large
// bodies make it look through all of that every 64 MiB, which costs a third of what a PUT does.
import { MessageChannel } from 'node:worker_threads'

const { port1: nowhere } = new MessageChannel()
nowhere.close()

/** Frees the buffer that the bytes lie in, unless threads share it: all views of it have no length from now on. */
export function freeMemory({ buffer }: Uint8Array): void {
  // What is transferred to a port leaves its buffer, and a port that is closed keeps nothing. (Newer: buffer.transfer(0).)
  if (buffer instanceof ArrayBuffer) nowhere.postMessage(null, [buffer])
}
