// Forms are signed in their fields: not the request but the policy carries the signature, of Version 4 or 2.
import type { FormFields, Identity } from '../call.ts'
import { invalidArgument, S3Error } from '../s3-error.ts'
import type { AuthParts } from './auth-request.ts'
import { equalInConstantTime } from './constant-time.ts'
import type { Credential } from './credentials.ts'
import { signV2 } from './sigv2.ts'
import { ALGORITHM, sign } from './sigv4.ts'
import { parseBasicTime } from './times.ts'
import { mismatchV2 } from './verify-v2.ts'
import { findCredential, parseCredential, wrongRegion } from './verify-v4.ts'

const FIELDS_V4 = ['x-amz-algorithm', 'x-amz-credential', 'x-amz-date', 'x-amz-signature']
const FIELDS_V2 = ['awsaccesskeyid', 'signature']

/** Who signed the policy of a form; undefined when nobody claims it, also where there is a policy. Throws S3Error. */
export function authenticateForm(fields: FormFields, parts: AuthParts): Identity | undefined {
  const version = [FIELDS_V4, FIELDS_V2].find((names) => names.some((name) => name in fields))
  if (version === undefined) return undefined
  const policy = demandField(fields, 'policy')
  const [first = '', second = '', third = '', fourth = ''] = version.map((name) =>
    demandField(fields, name),
  )
  const token = fields['x-amz-security-token']
  if (version !== FIELDS_V4)
    return verifyV2({ policy, accessKeyId: first, signature: second, token }, parts)
  return verifyV4(
    { policy, algorithm: first, credential: second, time: third, signature: fourth, token },
    parts,
  )
}

/** How AWS writes the names of fields that are not in lower case. */
const SPELLED: Readonly<Record<string, string>> = {
  awsaccesskeyid: 'AWSAccessKeyId',
  signature: 'Signature',
  'x-amz-algorithm': 'X-Amz-Algorithm',
  'x-amz-credential': 'X-Amz-Credential',
  'x-amz-date': 'X-Amz-Date',
  'x-amz-signature': 'X-Amz-Signature',
}

/** The field, or the refusal that AWS gives for a form without it (pitfall 115). */
export function demandField(fields: FormFields, name: string): string {
  const value = fields[name]
  if (value !== undefined) return value
  const shown = SPELLED[name] ?? name
  const message = `Bucket POST must contain a field named '${shown}'.  If it is specified, please check the order of the fields.`
  throw new S3Error('InvalidArgument', { ArgumentName: shown, ArgumentValue: '' }, { message })
}

interface ClaimV4 {
  policy: string
  algorithm: string
  credential: string
  time: string
  signature: string
  token: string | undefined
}

function verifyV4(claim: ClaimV4, parts: AuthParts): Identity {
  if (claim.algorithm !== ALGORITHM) {
    throw invalidArgument(
      'x-amz-algorithm',
      claim.algorithm,
      `X-Amz-Algorithm only supports "${ALGORITHM}"`,
    )
  }
  const { accessKeyId, scope } = readCredential(claim.credential, parts.region)
  if (parseBasicTime(claim.time) === undefined || claim.time.slice(0, 8) !== scope.date) {
    const message =
      "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\" and of the day of the credential"
    throw invalidArgument('x-amz-date', claim.time, message)
  }
  const credential = findCredential(accessKeyId, claim.token, parts)
  const wanted = sign(parts.keys.find(credential.secretAccessKey, scope), claim.policy)
  return compare({ ...claim, accessKeyId }, wanted, credential)
}

function readCredential(text: string, region: AuthParts['region']) {
  const credential = parseCredential(text)
  const { scope, terminal } = credential ?? {}
  if (credential === undefined || terminal !== 'aws4_request' || scope?.service !== 's3') {
    const message =
      'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request".'
    throw invalidArgument('x-amz-credential', text, message)
  }
  if (!region.enforced || scope.region === region.name) return credential
  const { elements, headers } = wrongRegion(region.name)
  const message = `the region '${scope.region}' is wrong; expecting '${region.name}'`
  throw new S3Error('AuthorizationHeaderMalformed', elements, {
    message,
    ...(headers && { headers }),
  })
}

interface Claim {
  policy: string
  accessKeyId: string
  signature: string
}

function verifyV2(claim: Claim & { token: string | undefined }, parts: AuthParts): Identity {
  const credential = findCredential(claim.accessKeyId, claim.token, parts)
  return compare(claim, signV2(credential.secretAccessKey, claim.policy), credential)
}

function compare(claim: Claim, wanted: string, credential: Credential): Identity {
  if (equalInConstantTime(wanted, claim.signature)) return credential.identity
  throw mismatchV2(claim, claim.policy)
}
