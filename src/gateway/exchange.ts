// One request on its socket and the place for its reply.
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
  /** The client waits for `100 Continue` before it sends its body. */
  awaitsContinue: boolean
}
