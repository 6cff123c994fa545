// URLs with and without keys, and what is no endpoint.
import t from 'tap'
import { parseEndpoint } from '../../../src/load/endpoint.ts'

const KEYS = { accessKeyId: 'a', secretAccessKey: 's' }

t.test('a URL says where, and perhaps who', async (t) => {
  const plain = parseEndpoint('http://127.0.0.1:9000', 'us-east-1', KEYS)
  t.match(plain, { ...KEYS, region: 'us-east-1' })
  const own = parseEndpoint('https://me:s%2Fecret@store.example:9443/', 'eu-west-1', KEYS)
  t.match(own, { accessKeyId: 'me', secretAccessKey: 's/ecret', region: 'eu-west-1' })
  t.equal(typeof own === 'string' ? '' : own.url.href, 'https://store.example:9443/')
})

t.test('what is none is said', async (t) => {
  for (const text of ['store', 'ftp://host', 'http://host/bucket', 'http://host/?x=1'])
    t.type(parseEndpoint(text, 'us-east-1', KEYS), 'string', text)
  t.match(parseEndpoint('http://host', 'us-east-1', undefined), /with which key/)
})

t.test('what is wrong is said without the secret', async (t) => {
  for (const text of [
    'ftp://me:hidden@host',
    'http://me:hidden@host/bucket',
    'http://me:hidden@host/?x=1',
    'http://me:hidden/hidden@host',
    'http://me:12/hidden@host',
    'http://me:12#hidden@host',
    'http://me:hidden%@host',
    'http://me:hidden%zz@host',
    'http://me:hidden%ff@host',
    'http://me:hidden@host:port',
  ]) {
    const said = parseEndpoint(text, 'us-east-1', KEYS)
    t.type(said, 'string', text)
    t.match(said, /host/, text)
    t.notMatch(said, /hidden|me:/, text)
  }
  t.match(parseEndpoint('http://me:50%25@host', 'r', undefined), { secretAccessKey: '50%' })
})
