// One request on its socket and the place for its reply.
import { ServerResponse } from 'node:http'
import type { GatewayRequest } from './gateway-request.ts'

/** The place for a reply. It knows whose it is, so that nothing has to be made for each to hear of its end. */
export class GatewayResponse extends ServerResponse<GatewayRequest> {
  passage: { close(): void } | undefined
}

export interface Exchange {
  request: GatewayRequest
  response: GatewayResponse
  /** The client waits for `100 Continue` before it sends its body. */
  awaitsContinue: boolean
}
