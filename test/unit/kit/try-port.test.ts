// A port is tried without keeping it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { tryPort } from '../../../src/kit/try-port.ts'

t.test('a port that is taken is told from one that is free, and stays free', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { address, port } = server.address() as AddressInfo
  await t.rejects(tryPort({ address, port }), { code: 'EADDRINUSE' })
  await new Promise((resolve) => server.close(resolve))
  await tryPort({ address, port })
  await tryPort({ address, port })
  await tryPort({ address, port: 0 })
})
