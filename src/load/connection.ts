// One kept connection to a server of S3: one request at a time, opened anew when the server closed it.
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Answer, AnswerReader, type Expected } from './answer-reader.ts'

/** A request as it goes over the wire. */
export interface WireRequest extends Expected {
  head: Buffer
  body: Uint8Array | undefined
}

/** A request that has no answer by then is given up. */
const ANSWER_MS = 120_000

/** What is read at once: large, for every read costs. */
const READ_BYTES = 256 * 1024

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

/** A client's connection. */
export class Connection {
  readonly #endpoint: URL
  readonly #reader = new AnswerReader()
  #socket: Socket | undefined
  #waiting: Waiting | undefined

  constructor(endpoint: URL) {
    this.#endpoint = endpoint
  }

  /** Sends and waits for the answer. Rejects when the connection breaks; the next request opens another. */
  send(request: WireRequest): Promise<Answer> {
    const socket = this.#socket ?? this.#open()
    this.#socket = socket
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#reader.expect(request)
      if (request.body === undefined) socket.write(request.head)
      else {
        socket.cork()
        socket.write(request.head)
        socket.write(request.body)
        socket.uncork()
      }
    })
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #open(): Socket {
    const socket = this.#connect()
    socket.setNoDelay(true)
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('no answer in time')))
    socket.on('error', (error) => this.#fail(socket, error))
    socket.on('close', () => this.#fail(socket, new Error('the connection was closed')))
    return socket
  }

  #connect(): Socket {
    const { protocol, hostname, port } = this.#endpoint
    const host = hostname.replace(/^\[|\]$/g, '')
    if (protocol === 'https:') {
      const socket = connectTls({ host, port: Number(port || 443), servername: host })
      return socket.on('data', (bytes) => this.#take(socket, bytes))
    }
    // A buffer of our own: to allocate one for each read costs more than the read (docs of node:net, `onread`).
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
    const socket: Socket = connectPlain({
      ...{ host, port: Number(port || 80) },
      onread: {
        buffer,
        callback: (count) => {
          this.#take(socket, buffer.subarray(0, count))
          return true
        },
      },
    })
    return socket
  }

  #take(socket: Socket, bytes: Buffer): void {
    if (socket !== this.#socket) return
    try {
      const answer = this.#reader.take(bytes)
      if (answer === undefined) return
      if (answer.closes) this.close()
      const waiting = this.#waiting
      this.#waiting = undefined
      waiting?.resolve(answer)
    } catch (error) {
      socket.destroy(error as Error)
    }
  }

  #fail(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return
    this.#socket = undefined
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(error)
  }
}
