// How sockets are read, on the Node that runs this and on one that has not what it takes.
import { connect, createServer, Socket, type SocketConstructorOpts } from 'node:net'
import t, { type Test } from 'tap'
import {
  type BytesTaker,
  type ReadOptions,
  readSocket,
} from '../../../../src/gateway/http1/socket-bytes.ts'

/** A Node that knows `onread` no more. */
class WithoutOnread extends Socket {
  constructor(options?: SocketConstructorOpts) {
    super({ ...options, onread: undefined } as SocketConstructorOpts)
  }
}

/** What a server hears of what is sent, and whether it went on with another socket. */
async function read(
  t: Test,
  sent: Buffer,
  options: ReadOptions,
  onAccept: (socket: Socket) => void = () => {},
): Promise<{ heard: Buffer; isMoved: boolean; isCounted: boolean }> {
  const parts: Buffer[] = []
  let isMoved = false
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
  t.teardown(() => server.close())
  const over = new Promise<void>((resolve) => {
    server.on('connection', (accepted) => {
      onAccept(accepted)
      const takerOf = (socket: Socket): BytesTaker => {
        isMoved = socket !== accepted
        socket.on('end', () => socket.end())
        socket.on('close', () => resolve())
        return {
          bodyBytesLeft: 0,
          take: (bytes, start, end, origin) =>
            void parts.push(Buffer.from(origin.keep(bytes, start, end))),
        }
      }
      readSocket(accepted, takerOf, options)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  connect(port, '127.0.0.1').end(sent)
  await over
  const count = await new Promise<number>((resolve) =>
    server.getConnections((_, open) => resolve(open)),
  )
  return { heard: Buffer.concat(parts), isMoved, isCounted: count === 0 }
}

const SENT = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7 + (at >> 8)) & 255))

t.test('into memory of its own', async (t) => {
  const { heard, isMoved, isCounted } = await read(t, SENT, {})
  t.ok(heard.equals(SENT))
  t.ok(isMoved, 'this Node has what it takes')
  t.ok(isCounted, 'the server counts the socket that took its place')
})

t.test('as streams: when told, and where Node lacks something', async (t) => {
  const told = await read(t, SENT, { asStream: true })
  t.ok(told.heard.equals(SENT))
  t.notOk(told.isMoved)
  const ignored = await read(t, SENT, { OwnSocket: WithoutOnread })
  t.ok(ignored.heard.equals(SENT))
  t.ok(ignored.isMoved && ignored.isCounted)
  // What a server calls itself at its sockets.
  const unknown = await read(t, SENT, {}, (socket) => Object.assign(socket, { _server: undefined }))
  t.ok(unknown.heard.equals(SENT))
  t.notOk(unknown.isMoved)
})
