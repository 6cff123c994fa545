// One request on its socket and the place for its reply.
import type { ServerResponse } from 'node:http'
import type { GatewayRequest } from './raw-headers.ts'

export interface Exchange {
  request: GatewayRequest
  response: ServerResponse
  /** The client waits for `100 Continue` before it sends its body. */
  awaitsContinue: boolean
}
