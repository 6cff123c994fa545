// A port is held for as long as it takes to know that it is free.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { holdPort } from '../../../src/kit/hold-port.ts'

t.test('a port that is taken is told from one that is free, which is free again', async (t) => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { address, port } = server.address() as AddressInfo
  await t.rejects(holdPort({ address, port }), { code: 'EADDRINUSE' })
  await new Promise((resolve) => server.close(resolve))
  const release = await holdPort({ address, port })
  await t.rejects(holdPort({ address, port }), { code: 'EADDRINUSE' }, 'it is held')
  await release()
  await (await holdPort({ address, port }))()
})

t.test('an address of another machine is told whatever the port', async (t) => {
  await t.rejects(holdPort({ address: '192.0.2.1', port: 0 }), { code: 'EADDRNOTAVAIL' })
})
