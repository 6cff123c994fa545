// Forms as browsers send them, with policies signed apart from the gateway's own code.
import { createHmac } from 'node:crypto'
import { TEST_KEYS } from '../support/server.ts'
import { basicTime, type Signer } from './signing.ts'
import { type Ask, BUCKET } from './wire.ts'

export const BOUNDARY = '----FormBoundary7MA4YWxk'

/** Fields in order; what is bytes or has a file name is the file. */
export type Field =
  | readonly [name: string, value: string]
  | readonly [name: string, value: string | Uint8Array, filename: string]

/** The bytes of a form. */
export function composeForm(fields: readonly Field[], end = `--${BOUNDARY}--\r\n`): Buffer {
  const parts = fields.map(([name, value, filename]) => {
    const file = filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: text/html`
    const head = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n`
    return Buffer.concat([Buffer.from(head), Buffer.from(value), Buffer.from('\r\n')])
  })
  return Buffer.concat([...parts, Buffer.from(end)])
}

/** The request that sends a form. */
export function post(fields: readonly Field[], more: Ask = {}): Ask {
  return {
    ...{ method: 'POST', path: `/${BUCKET}`, signer: false, body: composeForm(fields) },
    headers: { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` },
    ...more,
  }
}

/** A policy that holds for five minutes, in base64. */
export function policyOf(conditions: readonly unknown[], expiresMs = Date.now() + 300_000): string {
  const expiration = new Date(expiresMs).toISOString()
  return Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64')
}

/** The fields that sign a form, with a policy that allows `conditions` besides. */
export function signedFields(
  conditions: readonly unknown[],
  signer: Signer & { expiresMs?: number } = {},
): Field[] {
  const { accessKeyId, secretAccessKey } = { ...TEST_KEYS, ...signer }
  const time = basicTime(signer.ms)
  const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`
  const fields: Field[] = [
    ['x-amz-algorithm', 'AWS4-HMAC-SHA256'],
    ['x-amz-credential', `${accessKeyId}/${scope}`],
    ['x-amz-date', time],
  ]
  const all = [
    { bucket: BUCKET },
    ...conditions,
    ...fields.map(([name, value]) => ({ [name]: value })),
  ]
  const policy = policyOf(all, signer.expiresMs)
  const first = Buffer.from(`AWS4${secretAccessKey}`)
  const key = scope.split('/').reduce(hmac, first)
  return [...fields, ['policy', policy], ['x-amz-signature', hmac(key, policy).toString('hex')]]
}

/** The same by Version 2. */
export function signedFieldsV2(conditions: readonly unknown[], secret?: string): Field[] {
  const policy = policyOf([{ bucket: BUCKET }, ...conditions])
  const signature = createHmac('sha1', secret ?? TEST_KEYS.secretAccessKey).update(policy)
  return [
    ['AWSAccessKeyId', TEST_KEYS.accessKeyId],
    ['policy', policy],
    ['signature', signature.digest('base64')],
  ]
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
