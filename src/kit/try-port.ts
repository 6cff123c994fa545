// Whether a port can be listened on, asked before anything is done that others hear of.
import { createServer } from 'node:net'

/** Listens for a moment. Rejects with the system's `code`, such as EADDRINUSE; port 0 is always free. */
export async function tryPort({ address, port }: { address: string; port: number }): Promise<void> {
  if (port === 0) return
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => server.close(() => resolve()))
  })
}
