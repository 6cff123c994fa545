// The catalogue: the codes of S3 by status, and how an error is made.
import t from 'tap'
import { S3_ERROR_CODES, S3Error, type S3ErrorCode } from '../../../src/gateway/s3-error.ts'

const STATUSES: Partial<Record<S3ErrorCode, number>> = {
  NoSuchBucket: 404,
  BucketNotEmpty: 409,
  BucketAlreadyOwnedByYou: 409,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  InvalidArgument: 400,
  InvalidPartNumber: 416,
  InvalidRange: 416,
  KeyTooLongError: 400,
  PreconditionFailed: 412,
  NotImplemented: 501,
  MethodNotAllowed: 405,
  AccessForbidden: 403,
  SignatureDoesNotMatch: 403,
  AuthorizationHeaderMalformed: 400,
  RequestHeaderSectionTooLarge: 400,
  MissingContentLength: 411,
  SlowDown: 503,
  ConditionalRequestConflict: 409,
}

t.test('statuses are those of S3', async (t) => {
  for (const [code, status] of Object.entries(STATUSES)) {
    t.equal(new S3Error(code as S3ErrorCode).status, status, code)
  }
})

t.test('messages are those that AWS sends', async (t) => {
  const rows: [code: S3ErrorCode, message: string][] = [
    ['InvalidRange', 'The requested range is not satisfiable'],
    ['NoSuchBucket', 'The specified bucket does not exist'],
    ['NoSuchKey', 'The specified key does not exist.'],
    [
      'NoSuchUpload',
      'The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.',
    ],
    ['PreconditionFailed', 'At least one of the pre-conditions you specified did not hold'],
    [
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    ],
  ]
  for (const [code, message] of rows) t.equal(new S3Error(code).message, message)
})

t.test('every code has a status of 4xx or 5xx and a sentence', async (t) => {
  for (const code of S3_ERROR_CODES) {
    const { status, message } = new S3Error(code)
    t.ok(status >= 400 && status < 600 && message.length > 5, code)
  }
})

t.test('elements, message, headers and cause are kept', async (t) => {
  const cause = new Error('why')
  const options = { message: 'no', headers: { allow: 'GET' }, cause }
  const error = new S3Error('MethodNotAllowed', { Method: 'PUT' }, options)
  t.match(error, { code: 'MethodNotAllowed', elements: { Method: 'PUT' }, ...options })
  t.ok(error instanceof Error)
})
