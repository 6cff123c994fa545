// Two sockets that are connected, in place of the pair that a worker inherits.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** Both are destroyed with the test. */
export async function socketPair(t: Test): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const one = connect((server.address() as { port: number }).port)
  const [other] = (await once(server, 'connection')) as [Socket]
  server.close()
  t.teardown(() => {
    one.destroy()
    other.destroy()
  })
  return [one, other]
}
