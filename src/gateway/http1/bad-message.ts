// What is no HTTP. The codes are those of Node's parser, so that both are answered alike (client-error.ts).
import type { BadRequest } from '../exchange.ts'

/** Why something that came is no request. */
class BadMessage extends Error implements BadRequest {
  override readonly name = 'BadMessage'
  readonly code: string

  constructor(code: string, what: string) {
    super(what)
    this.code = code
  }
}

/** Against the grammar. */
export function badSyntax(what: string): BadMessage {
  return new BadMessage('HPE_INVALID_HEADER_TOKEN', what)
}

/** A target that is none. */
export function badTarget(): BadMessage {
  return new BadMessage('HPE_INVALID_URL', 'the target is none')
}

/** A head that is too long. */
export function tooLong(): BadMessage {
  return new BadMessage('HPE_HEADER_OVERFLOW', 'the head is too long')
}

/** The client ended in the middle. */
export function cutShort(): BadMessage {
  return new BadMessage('HPE_INVALID_EOF_STATE', 'the client ended in the middle')
}

/** A head took too long. */
export function tooLate(): BadMessage {
  return new BadMessage('ERR_HTTP_REQUEST_TIMEOUT', 'the head did not come in time')
}
