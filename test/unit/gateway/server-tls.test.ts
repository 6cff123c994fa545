// https: boto3's framing with trailers, and a certificate that is exchanged while serving.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request as sendHttps } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { TlsKeys } from '../../../src/gateway/tls-files.ts'
import { answerOf, signHeaders, startGateway, toldBy } from './server-fixture.ts'

function newKeys(t: Test, name: string): TlsKeys {
  const directory = t.testdir()
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
  const curve = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const files = ['-keyout', key, '-out', cert]
  const args = ['req', '-x509', '-newkey', ...curve, '-nodes', ...files, '-days', '1']
  execFileSync('openssl', [...args, '-subj', `/CN=${name}`], { stdio: 'ignore' })
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

async function nameOfPeer(port: number): Promise<string> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await new Promise((resolve, reject) =>
    socket.once('secureConnect', resolve).once('error', reject),
  )
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}

t.test('a framed body with neither length nor signature per chunk', async (t) => {
  const { host, port } = await startGateway(t, { tls: newKeys(t, 'one') })
  const headers = signHeaders(host, {
    ...{ method: 'PUT', url: '/bkt/k' },
    headers: {
      'content-encoding': 'aws-chunked',
      'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
      'x-amz-decoded-content-length': '5',
      'x-amz-trailer': 'x-amz-checksum-crc32',
    },
  })
  const outgoing = sendHttps({
    ...{ host: '127.0.0.1', port, method: 'PUT', path: '/bkt/k', agent: false },
    headers: { ...headers, 'transfer-encoding': 'chunked' },
    rejectUnauthorized: false,
  })
  const answer = answerOf(outgoing)
  outgoing.end('5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n')
  t.match(toldBy(await answer), {
    body: 'hello',
    baseUrl: `https://${host}/`,
    digests: { checksum: { algorithm: 'CRC32', value: 'NhCmhg==' } },
  })
})

t.test('a new certificate is used for new connections; a wrong one changes nothing', async (t) => {
  const [first, second] = [newKeys(t, 'first'), newKeys(t, 'second')]
  const { gateway, port } = await startGateway(t, { tls: first })
  t.equal(await nameOfPeer(port), 'first')
  gateway.reloadTls(second)
  t.equal(await nameOfPeer(port), 'second')
  t.throws(() => gateway.reloadTls({ cert: first.cert, key: second.key }))
  t.equal(await nameOfPeer(port), 'second')
})

t.test('a handshake that nobody ends does not hold up the end', { timeout: 20_000 }, async (t) => {
  const { gateway, port } = await startGateway(t, { tls: newKeys(t, 'one') })
  const silent = connectPlain(port, '127.0.0.1')
  silent.on('error', () => {}) // It is broken off.
  silent.write('\x16')
  // Heard of behind it: the other one has been accepted by now.
  t.equal(await nameOfPeer(port), 'one')
  const closed = once(silent, 'close')
  await gateway.close({ deadlineMs: 1_000 })
  await closed
})
