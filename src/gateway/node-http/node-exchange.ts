// A request and its reply on node:http, as the gateway sees them.
import { ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { lendOwn } from '../../kit/lent-bytes.ts'
import type { Headers } from '../call.ts'
import type { BodyReader, Exchange, ExchangeWatcher, Peers } from '../exchange.ts'
import type { GatewayRequest } from './gateway-request.ts'

/** The place for a reply. It knows whose it is, so that nothing has to be made for each to hear of its end. */
export class NodeResponse extends ServerResponse<GatewayRequest> {
  exchange: NodeExchange | undefined
}

/** One exchange on node:http. */
export class NodeExchange implements Exchange {
  readonly method: string
  readonly target: string
  awaitsContinue: boolean
  watcher: ExchangeWatcher | undefined
  readonly #request: GatewayRequest
  readonly #response: NodeResponse
  #reader: BodyReader | undefined
  /** Somebody read, and heard of the end. */
  #isHeard = false

  constructor(request: GatewayRequest, response: NodeResponse, awaitsContinue: boolean) {
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.awaitsContinue = awaitsContinue
    this.#request = request
    this.#response = response
    response.exchange = this
    response.on('close', tellExchange)
    if (response.socket === null) this.#hearOfSocket()
  }

  get sentHeaders(): Headers {
    return this.#request.sentHeaders
  }

  get peers(): Peers {
    const { remoteAddress, localAddress, localPort, encrypted } = this.#request.socket as TLSSocket
    return { remoteAddress, localAddress, localPort, isSecure: encrypted === true }
  }

  sendContinue(): void {
    this.#response.writeContinue()
  }

  /** A request without a body is complete only after the tick in which it came. */
  get isWhole(): boolean {
    return this.#request.complete || !this.#request.hasBody
  }

  readBody(reader: BodyReader): void {
    const before = this.#reader
    this.#reader = reader
    this.#request.off('data', this.#take).on('data', this.#take)
    if (!this.#isHeard) this.#hearOfEnd()
    before?.end(new Error('another took the rest of the body'))
    if (this.#request.readableEnded) this.#end(undefined)
    else if (this.#request.destroyed) this.#end(brokenOff())
    else this.#request.resume()
  }

  pauseBody(reader: BodyReader): void {
    if (this.#reader === reader) this.#request.pause()
  }

  resumeBody(reader: BodyReader): void {
    if (this.#reader === reader) this.#request.resume()
  }

  leaveBody(reader: BodyReader): void {
    if (this.#reader !== reader) return
    this.#reader = undefined
    this.#request.off('data', this.#take)
    this.#request.pause()
  }

  discardBody(): void {
    // Nobody hears of the end of a request without a body: see GatewayRequest.
    if (this.#request.hasBody) this.#request.resume()
  }

  get isHeadSent(): boolean {
    return this.#response.headersSent
  }

  get isSent(): boolean {
    return this.#response.writableFinished
  }

  get isClosed(): boolean {
    return this.#response.closed
  }

  get unsentBytes(): number {
    return this.#response.writableLength
  }

  writeHead(status: number, headers: readonly string[]): void {
    this.#response.writeHead(status, headers as string[])
  }

  flushHead(): void {
    this.#response.flushHeaders()
  }

  write(bytes: Uint8Array | string, onWritten?: (error?: Error | null) => void): void {
    if (onWritten === undefined) this.#response.write(bytes)
    else this.#response.write(bytes, onWritten)
  }

  /** Node gathers what is written in one turn by itself. */
  writeAll(chunks: readonly Uint8Array[], onWritten: (error?: Error | null) => void): void {
    for (const [at, chunk] of chunks.entries())
      this.write(chunk, at === chunks.length - 1 ? onWritten : undefined)
  }

  end(): void {
    this.#response.end()
  }

  destroy(): void {
    this.#response.destroy()
  }

  onceDrained(resolve: () => void): void {
    this.#response.once('drain', resolve)
  }

  readonly #take = (chunk: Uint8Array): void => {
    this.#reader?.take(lendOwn(chunk))
  }

  #hearOfEnd(): void {
    this.#isHeard = true
    this.#request.on('end', () => this.#end(undefined))
    this.#request.on('error', (error) => this.#end(error))
    // Only where it says something: every request is closed, and to make an error costs more than all else of a small body.
    this.#request.on('close', () => {
      if (this.#reader !== undefined) this.#end(brokenOff())
    })
  }

  #end(trouble: Error | undefined): void {
    const reader = this.#reader
    this.#reader = undefined
    const isCut = trouble === undefined && !this.#request.complete
    reader?.end(isCut ? brokenOff() : trouble)
  }

  /** Behind others on its connection a reply has no socket yet, and would not hear that this one closes. */
  #hearOfSocket(): void {
    const { socket } = this.#request
    const onClose = (): void => this.watcher?.close()
    socket.once('close', onClose)
    this.#response.once('close', () => socket.off('close', onClose))
  }
}

function tellExchange(this: NodeResponse): void {
  this.exchange?.watcher?.close()
}

function brokenOff(): Error {
  return new Error('the request was broken off')
}
