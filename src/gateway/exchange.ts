// What the gateway needs of HTTP, and nothing else: requests with the place for their replies, and the server that
// brings them. http1/ stands behind it on bare sockets, node-http/ on Node's server.
import type { Headers } from './call.ts'
import type { TlsKeys } from './tls-files.ts'

/** Who takes the bytes of a body. */
export interface BodyReader {
  /** The next bytes; they are lent. */
  take(bytes: Uint8Array): void
  /** Called once: the body is whole, or what comes of it does not come here any more, for this reason. */
  end(trouble: Error | undefined): void
}

/** Who is at the two ends of a connection. */
export interface Peers {
  readonly remoteAddress: string | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  /** https. */
  readonly isSecure: boolean
}

/** Who wants to hear that an exchange is over. */
export interface ExchangeWatcher {
  /** The system has the whole reply (`isSent`), or the connection ended before. */
  close(): void
}

/** One request and the place for its reply. */
export interface Exchange {
  readonly method: string
  /** As sent: path and query. */
  readonly target: string
  /** Names in lower case, duplicates joined by a comma, values as the bytes were sent (Latin-1). */
  readonly sentHeaders: Headers
  readonly peers: Peers
  watcher: ExchangeWatcher | undefined

  /** The client waits for `100 Continue` before it sends its body. */
  awaitsContinue: boolean
  sendContinue(): void
  /** Nothing of the body is still to come. */
  readonly isWhole: boolean
  /** From now on `reader` has what comes of the body, and who had it before has not. It may be called back at once. */
  readBody(reader: BodyReader): void
  /** `reader` wants nothing for now, and later some more: without effect when it is another's turn. */
  pauseBody(reader: BodyReader): void
  resumeBody(reader: BodyReader): void
  /** `reader` wants no more. What comes stays where it is until somebody reads it. */
  leaveBody(reader: BodyReader): void
  /** What is left of the body is read and forgotten. */
  discardBody(): void

  /** Nothing of the reply can be taken back any more. */
  readonly isHeadSent: boolean
  /** The reply was ended and the system has all of it. */
  readonly isSent: boolean
  /** The reply is over: sent, or broken off. */
  readonly isClosed: boolean
  /** Bytes of the reply that the system does not have yet. */
  readonly unsentBytes: number
  /** Names and values one behind the other. Throws when one of them can not be sent. */
  writeHead(status: number, headers: readonly string[]): void
  /** Sends the head now, where it would wait for the first bytes of the body. */
  flushHead(): void
  /** `onWritten` is called when the system has the bytes, or with what kept it from having them. */
  write(bytes: Uint8Array | string, onWritten?: (error?: Error | null) => void): void
  /** As write() of chunks that follow each other, the last of them not empty, in one go: the system is called once for all. */
  writeAll(chunks: readonly Uint8Array[], onWritten: (error?: Error | null) => void): void
  end(): void
  /** Breaks the connection off. */
  destroy(): void
  /** Calls back when all that was written by now is with the system. */
  onceDrained(resolve: () => void): void
}

/** Why something that came is no request. */
export interface BadRequest extends Error {
  code?: string
}

/** Bounds of a server. */
export interface HttpServerOptions {
  tls: TlsKeys | undefined
  connections: number
  /** Bytes of the head of a request. */
  headBytesMax: number
  /** A request whose head takes longer is given up. */
  headersMs: number
  /** A connection without requests is closed after it. */
  keepAliveMs: number
  /** A connection on which nothing at all moves for so long is broken off. */
  socketIdleMs: number
}

/**
 * Connections that the system keeps until they are accepted, as far as it allows (net.core.somaxconn). Who is one too many hears
 * nothing until TCP tries again, a second later and then seconds: with Node's 511 a thousand clients that come at once waited for 15 s.
 */
export const BACKLOG = 4_096

/** What a server does with what comes. */
export interface HttpHandlers {
  serve(exchange: Exchange): void
  /** The whole answer, as bytes of Latin-1, to what is no request; `inBody` when it was one up to its body. */
  refuse(trouble: BadRequest, inBody: boolean): string
}

/** Brings requests once it listens. */
export interface HttpServer {
  /** Rejects with the system's `code`, such as EADDRINUSE. */
  listen(where: { address: string; port: number }): Promise<{ port: number }>
  /** Takes no more connections; resolves when the last one has ended. */
  close(): Promise<void>
  /** Closes connections without a request. */
  closeIdle(): void
  closeAll(): void
  /** New connections use the new certificate. Throws when it does not fit its key. */
  reloadTls(keys: TlsKeys): void
}
