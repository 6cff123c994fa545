// A certificate authority for one test, and the certificate of a store that it vouches for.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Paths of PEM files. */
export interface Certificate {
  /** What clients trust. */
  caFile: string
  certificateFile: string
  keyFile: string
}

// Some clients refuse a certificate that is its own authority, so there are two.
const EXTENSIONS = `
subjectAltName = IP:127.0.0.1, DNS:localhost
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
`

/** Makes both in `directory`, good for a day. */
export function makeCertificate(directory: string): Certificate {
  const path = (name: string): string => join(directory, name)
  const caFile = path('ca.pem')
  const caKeyFile = path('ca-key.pem')
  const certificateFile = path('certificate.pem')
  const keyFile = path('key.pem')
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-keyout']
  openssl('req', '-x509', '-days', '1', '-subj', '/CN=tests', ...newKey, caKeyFile, '-out', caFile)

  const request = path('request.pem')
  openssl('req', '-subj', '/CN=localhost', ...newKey, keyFile, '-out', request)
  writeFileSync(path('extensions'), EXTENSIONS)
  const authority = ['-CA', caFile, '-CAkey', caKeyFile, '-CAcreateserial', '-days', '1']
  const asked = ['-in', request, '-extfile', path('extensions'), '-out', certificateFile]
  openssl('x509', '-req', ...authority, ...asked)
  return { caFile, certificateFile, keyFile }
}

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' })
}
