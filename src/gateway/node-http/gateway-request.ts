// A request as Node hands it out, made cheaper where most requests are alike.
import { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Headers } from '../call.ts'
import { collectHeaders } from '../raw-headers.ts'

/**
 * A request whose headers were collected once, whoever asks for them. The end of one without a body is kept until somebody
 * reads: that is nobody for almost all of them, and a stream that nobody hears takes Node five ticks to end.
 */
export class GatewayRequest extends IncomingMessage {
  #sent: Headers | undefined
  #wasRead = false
  /** It came to its end before anybody read. */
  #endIsKept = false
  /** Nobody will ever read. */
  endIsForgotten = false

  /** Names in lower case, duplicates joined by a comma, values as the bytes were sent (Latin-1). */
  get sentHeaders(): Headers {
    this.#sent ??= collectHeaders(this.rawHeaders)
    return this.#sent
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || this.#wasRead || this.readableFlowing !== null || this.hasBody)
      return super.push(chunk, encoding)
    this.#endIsKept = true
    return false
  }

  override _read(size: number): void {
    this.#wasRead = true
    if (!this.#endIsKept) {
      super._read(size)
      return
    }
    this.#endIsKept = false
    super.push(null)
  }

  /** Node calls it when the reply is out, for what nobody has read. */
  override resume(): this {
    if (!this.#endIsKept || this.listenerCount('data') > 0 || this.listenerCount('end') > 0)
      return super.resume()
    this.endIsForgotten = true
    return this
  }

  /** Its head says that a body follows. */
  get hasBody(): boolean {
    const { 'content-length': length, 'transfer-encoding': transfer } = this.sentHeaders
    return length !== undefined || transfer !== undefined
  }
}

// Node looks for Host and Expect in there: so that it needs not read all headers for itself, it is given ours.
Object.defineProperty(GatewayRequest.prototype, 'headers', {
  get(this: GatewayRequest) {
    return this.sentHeaders
  },
})

const ended = Object.getOwnPropertyDescriptor(Readable.prototype, 'readableEnded')?.get
// Node lets go of a request that has ended.
Object.defineProperty(GatewayRequest.prototype, 'readableEnded', {
  get(this: GatewayRequest) {
    return this.endIsForgotten || ended?.call(this)
  },
})
