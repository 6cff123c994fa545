// Origins say what is listened on, and how it is asked from this machine.
import t from 'tap'
import { localOrigin, originOf } from '../../../src/kit/origin.ts'

t.test('addresses of IPv6 are in brackets', async (t) => {
  t.equal(originOf('http', { address: '10.0.0.7', port: 9000 }), 'http://10.0.0.7:9000')
  t.equal(originOf('https', { address: '::1', port: 9000 }), 'https://[::1]:9000')
})

t.test('all addresses of a machine are asked by 127.0.0.1', async (t) => {
  t.equal(localOrigin('http://0.0.0.0:9000'), 'http://127.0.0.1:9000')
  t.equal(localOrigin('https://[::]:9000'), 'https://127.0.0.1:9000')
  for (const same of ['http://10.0.0.0:9000', 'http://[::1]:9000', 'http://localhost:9000'])
    t.equal(localOrigin(same), same)
})
