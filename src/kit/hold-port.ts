// Whether ports can be listened on, asked before anything is done that others hear of.
import { createServer } from 'node:net'

/** Listens until the function that it gives is called. Rejects with the system's `code`, such as EADDRINUSE. */
export async function holdPort({
  address,
  port,
}: {
  address: string
  port: number
}): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, resolve)
  })
  return () => new Promise((resolve) => server.close(() => resolve()))
}
