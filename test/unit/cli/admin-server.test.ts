// The admin port: what is said of where it listens is where it listens.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createAdminServer, listenAdmin } from '../../../src/cli/admin-server.ts'
import { Registry } from '../../../src/kit/metrics.ts'

const ready = () => ({ ready: true, degraded: [] })

t.test('the address that is listened on is what is said', async (t) => {
  for (const adminAddress of ['127.0.0.1', '0.0.0.0']) {
    const admin = createAdminServer(new Registry(), ready)
    const origin = await listenAdmin(admin, { adminAddress, adminPort: 0 })
    const { address, port } = admin.server.address() as AddressInfo
    t.equal(origin, `http://${adminAddress}:${port}`)
    t.equal(address, adminAddress)
    await admin.close()
  }
})

t.test('what is in the way is named with its options', async (t) => {
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port: adminPort } = taken.address() as AddressInfo
  await t.rejects(
    listenAdmin(createAdminServer(new Registry(), ready), { adminAddress: '127.0.0.1', adminPort }),
    { exitCode: 3, message: /in use: choose another with --admin-port/ },
  )
  await t.rejects(
    listenAdmin(createAdminServer(new Registry(), ready), { adminAddress: '192.0.2.1', adminPort }),
    { exitCode: 2, message: /see --admin-address and --admin-port/ },
  )
  taken.close()
})
