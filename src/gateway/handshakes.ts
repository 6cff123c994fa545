// Connections of an https server whose handshake is not over. Node closes no such connection when its server closes: one that
// says nothing would hold up the end of the process for as long as a handshake may take.
import type { Socket } from 'node:net'
import type { Server } from 'node:tls'

/** Those of one server. */
export class Handshakes {
  /** By the addresses of both ends, which the socket of the handshake and the one that comes of it have alike. */
  readonly #underWay = new Map<string, Socket>()
  #isClosing = false

  constructor(server: Server) {
    server.on('connection', (socket) => this.#begin(socket))
    server.on('secureConnection', (socket) => this.#underWay.delete(endsOf(socket)))
  }

  /** Breaks them off, and those that still come: nobody has asked for anything in them. */
  close(): void {
    this.#isClosing = true
    for (const socket of this.#underWay.values()) socket.destroy()
  }

  #begin(socket: Socket): void {
    const ends = endsOf(socket)
    this.#underWay.set(ends, socket)
    socket.once('close', () => {
      if (this.#underWay.get(ends) === socket) this.#underWay.delete(ends)
    })
    if (this.#isClosing) socket.destroy()
  }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
