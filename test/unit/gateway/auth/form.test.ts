// Policies of forms: who signed one, and what it allows (pitfall 115).
import t from 'tap'
import type { AuthParts } from '../../../../src/gateway/auth/auth-request.ts'
import { rootCredentials } from '../../../../src/gateway/auth/credentials.ts'
import { checkPolicy } from '../../../../src/gateway/auth/form-policy.ts'
import { authenticateForm } from '../../../../src/gateway/auth/form-signature.ts'
import { SigningKeys } from '../../../../src/gateway/auth/signing-keys.ts'

interface Wanted {
  code: string
  message?: string | RegExp
  elements?: Record<string, string>
}

const NOW = Date.UTC(2026, 10, 21, 15, 30)
const PARTS: AuthParts = {
  credentials: rootCredentials('AK', 'SECRET'),
  keys: new SigningKeys(),
  region: { name: 'us-east-1', enforced: false },
  nowMs: NOW,
}

// As boto3's generate_presigned_post makes them.
const V2 = {
  acl: 'private',
  awsaccesskeyid: 'AK',
  policy:
    'eyJleHBpcmF0aW9uIjogIjIwMjYtMTEtMjFUMTY6MDg6NTJaIiwgImNvbmRpdGlvbnMiOiBbeyJhY2wiOiAicHJpdmF0ZSJ9LCBbImNvbnRlbnQtbGVuZ3RoLXJhbmdlIiwgMSwgMTAwXSwgeyJidWNrZXQiOiAiYmt0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJkaXIvIl1dfQ==',
  signature: 'u0Oe1veblGl+BKVo2Buxbt6v0Ts=',
}
const V4 = {
  acl: 'private',
  'x-amz-algorithm': 'AWS4-HMAC-SHA256',
  'x-amz-credential': 'AK/20261121/us-east-1/s3/aws4_request',
  'x-amz-date': '20261121T150852Z',
  policy:
    'eyJleHBpcmF0aW9uIjogIjIwMjYtMTEtMjFUMTY6MDg6NTJaIiwgImNvbmRpdGlvbnMiOiBbeyJhY2wiOiAicHJpdmF0ZSJ9LCBbImNvbnRlbnQtbGVuZ3RoLXJhbmdlIiwgMSwgMTAwXSwgeyJidWNrZXQiOiAiYmt0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJkaXIvIl0sIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwgeyJ4LWFtei1jcmVkZW50aWFsIjogIkFLLzIwMjYxMTIxL3VzLWVhc3QtMS9zMy9hd3M0X3JlcXVlc3QifSwgeyJ4LWFtei1kYXRlIjogIjIwMjYxMTIxVDE1MDg1MloifV19',
  'x-amz-signature': '00906bf8cf107c56fc9dfba1177dc4e447ba56a33e193ba92a6059be11b6b593',
}
const ADDRESSED = { bucket: 'bkt', key: 'dir/a' }

t.test("boto3's forms verify, and their policies allow them", async (t) => {
  for (const fields of [V2, V4]) {
    t.same(authenticateForm(fields, PARTS), { kind: 'root', accessKeyId: 'AK' })
    t.same(checkPolicy(fields.policy, { ...fields, ...ADDRESSED }, NOW), { min: 1, max: 100 })
  }
})

t.test('a form that nobody signed is anonymous', async (t) => {
  t.equal(authenticateForm({ key: 'a' }, PARTS), undefined)
  t.equal(authenticateForm({ key: 'a', policy: V2.policy }, PARTS), undefined, 'with a policy')
})

t.test('each fault of a signature has its error', async (t) => {
  const without = (fields: Record<string, string>, name: string) =>
    Object.fromEntries(Object.entries(fields).filter(([other]) => other !== name))
  const missing = (shown: string) => ({
    code: 'InvalidArgument',
    elements: { ArgumentName: shown },
    message: `Bucket POST must contain a field named '${shown}'.  If it is specified, please check the order of the fields.`,
  })
  const cases: [fields: Record<string, string>, error: Wanted][] = [
    [{ ...V4, policy: `${V4.policy}A` }, { code: 'SignatureDoesNotMatch' }],
    [{ ...V4, 'x-amz-signature': 'f'.repeat(64) }, { code: 'SignatureDoesNotMatch' }],
    [
      { ...V2, signature: 'x' },
      { code: 'SignatureDoesNotMatch', elements: { StringToSign: V2.policy } },
    ],
    [{ ...V2, awsaccesskeyid: 'XX' }, { code: 'InvalidAccessKeyId' }],
    [{ ...V4, 'x-amz-security-token': 'T' }, { code: 'InvalidToken' }],
    [{ ...V2, 'x-amz-security-token': 'T' }, { code: 'InvalidToken' }],
    [
      { ...V4, 'x-amz-algorithm': 'AWS4' },
      { code: 'InvalidArgument', message: /only supports/ },
    ],
    [
      { ...V4, 'x-amz-credential': 'AK/x' },
      { code: 'InvalidArgument', message: /mal-formed/ },
    ],
    [{ ...V4, 'x-amz-date': '20261120T150852Z' }, { code: 'InvalidArgument' }],
    [without(V2, 'signature'), missing('Signature')],
    [without(V2, 'awsaccesskeyid'), missing('AWSAccessKeyId')],
    [without(V2, 'policy'), missing('policy')],
    [without(V4, 'policy'), missing('policy')],
    [without(V4, 'x-amz-date'), missing('X-Amz-Date')],
    [without(V4, 'x-amz-algorithm'), missing('X-Amz-Algorithm')],
    [without(V4, 'x-amz-signature'), missing('X-Amz-Signature')],
  ]
  for (const [fields, error] of cases) t.throws(() => authenticateForm(fields, PARTS), error)
  const elsewhere = { ...PARTS, region: { name: 'eu-west-1', enforced: true } }
  t.throws(() => authenticateForm(V4, elsewhere), {
    code: 'AuthorizationHeaderMalformed',
    elements: { Region: 'eu-west-1' },
  })
})

const LATER = '2026-11-21T16:00:00.000Z'

/** A policy in base64; `raw` as it stands. */
function policy(conditions: unknown, expiration: unknown = LATER): string {
  return base64(JSON.stringify({ expiration, conditions }))
}

function base64(raw: string): string {
  return Buffer.from(raw).toString('base64')
}

t.test('conditions', async (t) => {
  const allowed = (conditions: unknown[], fields: Record<string, string>) =>
    checkPolicy(policy(conditions), fields, NOW)
  const any = { min: 0, max: Number.MAX_SAFE_INTEGER }
  t.same(allowed([{ KEY: 'a' }], { key: 'a' }), any, 'names in any case')
  t.same(allowed([['EQ', '$Key', 'a']], { key: 'a' }), any)
  t.same(allowed([['Starts-With', '$key', '']], { key: 'a' }), any)
  t.same(allowed([{ key: 'a' }], { key: 'a', 'x-ignore-me': '1', file: '' }), any)
  t.same(
    allowed([['starts-with', '$content-type', 'image/']], { 'content-type': 'image/a,image/b' }),
    any,
  )
  t.same(
    allowed(
      [
        ['content-length-range', 1, '50'],
        ['content-length-range', 5, 100],
      ],
      {},
    ),
    { min: 5, max: 50 },
    'ranges narrow each other',
  )
  const dollar = base64(`{"expiration":"${LATER}","conditions":[["eq","$key","\\$a"]]}`)
  t.same(
    checkPolicy(dollar, { key: '$a' }, NOW),
    any,
    'a dollar escaped as the documentation has it',
  )
  const slash = base64(`{"expiration":"${LATER}","conditions":[["eq","$key","\\\\$a"]]}`)
  t.same(checkPolicy(slash, { key: '\\$a' }, NOW), any, 'and a backslash before one')
})

t.test('what a policy does not allow is refused in the words of AWS', async (t) => {
  const cases: [conditions: unknown[], fields: Record<string, string>, why: string][] = [
    [[{ key: 'a' }], { key: 'b' }, 'Policy Condition failed: ["eq", "$key", "a"]'],
    [[['starts-with', '$key', 'a']], {}, 'Policy Condition failed: ["starts-with", "$key", "a"]'],
    [[['eq', '$constructor', 'a']], {}, 'Policy Condition failed: ["eq", "$constructor", "a"]'],
    [
      [['starts-with', '$content-type', 'image/']],
      { 'content-type': 'image/a,text/html' },
      'Policy Condition failed: ["starts-with", "$content-type", "image/"]',
    ],
    [
      [{ key: 'a' }, ['eq', 'key', 'a']],
      { key: 'a' },
      'Policy Condition failed: ["eq", "key", "a"]',
    ],
    [
      [['content-length-range', 'a', 10]],
      {},
      'Policy Condition failed: ["content-length-range", "a", 10]',
    ],
    [
      [['content-length-range', -1, 0]],
      {},
      'Policy Condition failed: ["content-length-range", -1, 0]',
    ],
    [[], { 'x-amz-meta-a': '1' }, 'Extra input fields: x-amz-meta-a'],
    [[], { acl: 'private', bucket: 'b' }, 'Extra input fields: acl, bucket'],
  ]
  for (const [conditions, fields, why] of cases) {
    const form = Object.assign(Object.create(null), fields)
    const message = `Invalid according to Policy: ${why}`
    t.throws(() => checkPolicy(policy(conditions), form, NOW), { code: 'AccessDenied', message })
  }
  t.throws(() => checkPolicy(policy([], '2026-11-21T15:30:00Z'), {}, NOW), {
    code: 'AccessDenied',
    message: 'Invalid according to Policy: Policy expired.',
  })
})

t.test('what is no policy is said so', async (t) => {
  const cases: [document: string, why: string][] = [
    [base64('{'), 'Invalid JSON.'],
    [base64('[]'), 'Invalid JSON.'],
    ['', 'Invalid JSON.'],
    [base64('{"conditions":[]}'), 'Policy missing expiration.'],
    [base64(`{"EXPIRATION":"${LATER}","conditions":[]}`), 'Policy missing expiration.'],
    [base64(`{"expiration":"${LATER}"}`), 'Policy missing conditions.'],
    [base64(`{"expiration":"${LATER}","CONDITIONS":[]}`), 'Policy missing conditions.'],
    [
      policy([], '2026-11-21 16:00:00+00:00'),
      "Invalid 'expiration' value: '2026-11-21 16:00:00+00:00'",
    ],
    [policy([], '2026-13-41T99:00:00Z'), "Invalid 'expiration' value: '2026-13-41T99:00:00Z'"],
    [policy({}), "Invalid 'conditions' value: must be a List."],
    [
      policy([{}]),
      'Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.',
    ],
    [
      policy([{ a: '1', b: '2' }]),
      'Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.',
    ],
    [policy([{ a: 1 }]), 'Invalid Simple-Condition: value must be a string.'],
    [policy(['eq']), 'Invalid Condition: must be a List or an Object.'],
    [
      policy([['content-length-range', 0]]),
      'Invalid content-length-range: wrong number of arguments.',
    ],
    [
      policy([['content-length-range', [1], 2]]),
      'Invalid content-length-range: its limits are whole numbers.',
    ],
    [policy([['like', '$key', 'a']]), "Invalid Condition: unknown operation 'like'."],
    // What can not be shown as a text, or only at the price of a stack overflow, is not shown.
    [policy([], { toString: 1, valueOf: 1 }), "Invalid 'expiration' value: ''"],
    [policy([[{ toString: 1, valueOf: 1 }, '$key']]), 'Invalid : wrong number of arguments.'],
    [
      policy([[{ toString: 1, valueOf: 1 }, '$key', 'a']]),
      "Invalid Condition: unknown operation ''.",
    ],
    [
      policy([['content-length-range', { toString: 1, valueOf: 1 }, 2]]),
      'Invalid content-length-range: its limits are whole numbers.',
    ],
    [
      base64(`{"expiration":${'['.repeat(20_000)}${']'.repeat(20_000)},"conditions":[]}`),
      "Invalid 'expiration' value: ''",
    ],
    [policy([['eq', '$key', 1]]), 'Invalid eq: the name of a field and its value are strings.'],
  ]
  for (const [document, why] of cases) {
    const error = { code: 'InvalidPolicyDocument', message: `Invalid Policy: ${why}` }
    t.throws(() => checkPolicy(document, {}, NOW), error, why)
  }
})
