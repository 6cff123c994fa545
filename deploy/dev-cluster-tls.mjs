// Certificates and names for a dev-cluster whose processes trust nobody else: one authority, made by openssl and kept under
// DIR/tls, and etcd that asks for a certificate, a name and a password.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'

/** What the processes call themselves to etcd. */
const USER = 'kintsugi'
const PREFIX = '/kintsugi/'
const ANSWER_MS = 10_000

/** Who may be met with these certificates. */
const EXTENSIONS =
  'subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n'

/** Makes an authority and a certificate each for etcd and for the processes of the cluster; gives their paths and passwords. */
export function makeTls(directory) {
  const place = join(directory, 'tls')
  mkdirSync(place, { recursive: true, mode: 0o700 })
  const openssl = (...words) =>
    execFileSync('openssl', words, { cwd: place, stdio: ['ignore', 'ignore', 'pipe'] })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const days = ['-days', '3650']
  openssl(
    ...['req', '-x509', ...newKey, ...days, '-subj', '/CN=dev-cluster'],
    ...['-keyout', 'ca-key.pem', '-out', 'ca.pem'],
  )
  writeFileSync(join(place, 'extensions'), EXTENSIONS)
  for (const name of ['etcd', 'member']) {
    openssl(
      // No common name: etcd refuses whoever has one and gives a password by its JSON gateway as well.
      ...['req', ...newKey, '-subj', `/O=dev-cluster/OU=${name}`],
      ...['-keyout', `${name}-key.pem`, '-out', `${name}.csr`],
    )
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca-key.pem', ...days],
      ...['-CAcreateserial', '-extfile', 'extensions', '-out', `${name}.pem`],
    )
  }
  const pair = (name) => ({ cert: join(place, `${name}.pem`), key: join(place, `${name}-key.pem`) })
  return {
    ca: join(place, 'ca.pem'),
    ...{ etcd: pair('etcd'), member: pair('member') },
    user: USER,
    password: randomBytes(16).toString('hex'),
    rootPassword: randomBytes(16).toString('hex'),
  }
}

/** Of etcd itself: who has no certificate of ours gets no connection. */
export function etcdTlsWords({ ca, etcd }) {
  return [
    ...['--cert-file', etcd.cert, '--key-file', etcd.key],
    ...['--trusted-ca-file', ca, '--client-cert-auth'],
  ]
}

/** Of every process that speaks with etcd. The password goes by the environment (etcdPassword). */
export function etcdAccessWords({ ca, member, user }) {
  return [
    '--etcd-ca',
    ca,
    '--etcd-cert',
    member.cert,
    '--etcd-key',
    member.key,
    '--etcd-user',
    user,
  ]
}

/** The environment that goes with etcdAccessWords(). */
export function etcdPassword({ password }) {
  return { KINTSUGI_ETCD_PASSWORD: password }
}

/** Of nodes and gateways. */
export function nodeTlsWords({ ca, member }) {
  return ['--node-ca', ca, '--node-cert', member.cert, '--node-key', member.key]
}

/** Makes the user of the cluster in a new etcd: it may read and write what is under the prefix, and nothing else. */
export async function askForNames(url, tls) {
  const { user, password, rootPassword } = tls
  const base64 = (text) => Buffer.from(text).toString('base64')
  const perm = {
    permType: 'READWRITE',
    key: base64(PREFIX),
    // Behind everything that begins with the prefix: 0 comes after the slash.
    range_end: base64(PREFIX.replace(/\/$/, '0')),
  }
  await callEtcd(url, tls, 'user/add', { name: 'root', password: rootPassword })
  await callEtcd(url, tls, 'role/add', { name: 'root' })
  await callEtcd(url, tls, 'user/grant', { user: 'root', role: 'root' })
  await callEtcd(url, tls, 'role/add', { name: user })
  await callEtcd(url, tls, 'role/grant', { name: user, perm })
  await callEtcd(url, tls, 'user/add', { name: user, password })
  await callEtcd(url, tls, 'user/grant', { user, role: user })
  await callEtcd(url, tls, 'enable', {})
}

async function callEtcd(url, { ca, member }, path, body) {
  const options = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(ANSWER_MS),
    ...{ ca: readFileSync(ca), cert: readFileSync(member.cert), key: readFileSync(member.key) },
  }
  await new Promise((resolve, reject) => {
    const sent = request(`${url}/v3/auth/${path}`, options, (answer) => {
      let text = ''
      answer.on('data', (bytes) => {
        text += bytes
      })
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve()
        else reject(new Error(`etcd answers to auth/${path}: ${answer.statusCode} ${text}`))
      })
    })
    sent.on('error', reject)
    sent.end(JSON.stringify(body))
  })
}
