// Sockets whose long writes are made by threads: everything arrives in its order, and nothing at somebody else's.
import { pbkdf2 } from 'node:crypto'
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { kibibytes, mebibytes } from '../../../src/kit/bytes.ts'
import { ThreadedSocket } from '../../../src/kit/threaded-socket.ts'

/** A server that goes on with sockets of ours, as the gateway does. */
async function serve(t: Test, onSocket: (socket: ThreadedSocket) => void): Promise<number> {
  const server: Server = createServer({ pauseOnConnect: true }, (accepted) => {
    const inside = accepted as unknown as { _handle: unknown; _server: unknown }
    const handle = inside._handle
    inside._handle = null
    inside._server = null
    accepted.destroy()
    const socket = new ThreadedSocket({ handle, allowHalfOpen: true } as object)
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
    onSocket(socket)
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** Bytes that tell where they belong. */
function pattern(bytes: number, from: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) buffer.writeUInt32LE(from + at, at)
  return buffer
}

async function readAll(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

t.test('in their order, long ones and short ones, one and several', async (t) => {
  const first = pattern(kibibytes(300), 0)
  const second = pattern(kibibytes(512), first.length)
  const port = await serve(t, (socket) => {
    socket.write('head ', 'latin1')
    socket.write(first)
    socket.write('middle ', 'latin1')
    socket.cork()
    socket.write('é', 'latin1')
    socket.write(second.subarray(0, 100_000))
    socket.write(second.subarray(100_000))
    socket.uncork()
    socket.end('tail')
  })
  const parts = ['head ', first, 'middle ', Buffer.from('é', 'latin1'), second, 'tail']
  const expected = Buffer.concat(parts.map((part) => Buffer.from(part as Buffer)))
  t.ok((await readAll(connect(port, '127.0.0.1'))).equals(expected))
})

t.test('who reads slowly gets all of it, and as much is kept as he has not taken', async (t) => {
  const bytes = pattern(mebibytes(24), 0)
  let sent = 0
  let isOver = false
  const port = await serve(t, (socket) => {
    // More than the system has room for: some are cut, some find none at all.
    for (let at = 0; at < bytes.length; at += mebibytes(2)) {
      const part = bytes.subarray(at, at + mebibytes(2))
      socket.write(part, () => {
        sent += part.length
      })
    }
    socket.end(() => {
      isOver = true
    })
  })
  const client = connect(port, '127.0.0.1')
  await sleep(100)
  t.ok(sent < bytes.length, 'what nobody takes is not written')
  t.notOk(isOver)
  const parts: Buffer[] = []
  for await (const part of client) {
    parts.push(part as Buffer)
    if (parts.length % 64 === 0) await sleep(1)
  }
  t.ok(Buffer.concat(parts).equals(bytes))
  t.equal(sent, bytes.length)
})

t.test('where the system has no room at all it waits for some', async (t) => {
  const bytes = pattern(kibibytes(600), 0)
  let before = 0
  const port = await serve(t, (socket) => {
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
    const fill = (): void => {
      try {
        for (;;) before += writeSync(fd, Buffer.alloc(kibibytes(64)))
      } catch (error) {
        t.match(error, { code: 'EAGAIN' })
      }
    }
    void (async () => {
      // Again, for the client takes a little by itself.
      for (let round = 0; round < 5; round += 1) {
        fill()
        await sleep(20)
      }
      fill()
      socket.end(bytes)
    })()
  })
  const client = connect(port, '127.0.0.1')
  await sleep(200)
  const heard = await readAll(client)
  t.equal(heard.length, before + bytes.length)
  t.ok(heard.subarray(before).equals(bytes))
})

t.test('the number of a socket is kept until the thread is done with it', async (t) => {
  const long = Buffer.alloc(mebibytes(1), 'X')
  const events: string[] = []
  let accepted = 0
  let destroyed = 0
  const port = await serve(t, (socket) => {
    accepted += 1
    if (accepted % 2 === 0) {
      socket.end('mine')
      return
    }
    socket.write(long, () => events.push(`written ${accepted}`))
    socket.once('close', () => {
      destroyed += 1
    })
    // The next that is accepted gets the number of this one, as soon as that is closed.
    socket.destroy()
  })
  let strangers = 0
  for (let round = 0; round < 200; round += 1) {
    const doomed = connect(port, '127.0.0.1').on('error', () => {})
    doomed.resume()
    const heard = await readAll(connect(port, '127.0.0.1'))
    if (heard.toString('latin1') !== 'mine') strangers += 1
  }
  t.equal(strangers, 0, 'nobody hears what was meant for another')
  // The last of them may still be closing.
  for (let looks = 0; destroyed < 200 && looks < 1000; looks += 1) await sleep(10)
  t.equal(destroyed, 200)
})

t.test(
  'what comes while a thread still writes for a socket that is destroyed is not read',
  async (t) => {
    const closed: Promise<unknown>[] = []
    const port = await serve(t, (socket) => {
      closed.push(once(socket, 'close'))
      socket.once('data', () => {
        // So that the write waits for its thread.
        for (let number = 0; number < 8; number += 1)
          pbkdf2('password', 'salt', 30_000, 64, 'sha512', () => {})
        socket.write(Buffer.alloc(kibibytes(512)))
        socket.destroy()
      })
    })
    for (let round = 0; round < 3; round += 1) {
      const client = connect(port, '127.0.0.1').on('error', () => {})
      client.resume()
      for (let sent = 0; sent < 20 && !client.destroyed; sent += 1) {
        client.write('GET ')
        await sleep(2)
      }
      client.destroy()
    }
    // The process is still there to see it.
    t.equal((await Promise.all(closed)).length, 3)
  },
)

t.test('closed behind what a thread writes', async (t) => {
  const order: string[] = []
  const closed = new Promise<void>((resolve) => {
    void serve(t, (socket) => {
      socket.write(Buffer.alloc(mebibytes(1)), () => order.push('written'))
      socket.once('close', () => {
        order.push('closed')
        resolve()
      })
      socket.destroy()
      order.push('destroyed')
    }).then((port) =>
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
    )
  })
  await closed
  t.same(order, ['destroyed', 'written', 'closed'])
})

t.test('closed behind the next one as well, that began when the one before was done', async (t) => {
  const order: string[] = []
  const closed = new Promise<void>((resolve) => {
    void serve(t, (socket) => {
      socket.write(Buffer.alloc(kibibytes(256)), () => {
        order.push('first')
        socket.destroy()
      })
      socket.write(Buffer.alloc(mebibytes(8)), () => order.push('second'))
      socket.once('close', () => {
        order.push('closed')
        resolve()
      })
    }).then((port) =>
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
    )
  })
  await closed
  t.same(order, ['first', 'second', 'closed'])
})

t.test('a client that is gone is an error of the write', async (t) => {
  let failure: NodeJS.ErrnoException | null | undefined
  const done = new Promise<void>((resolve) => {
    void serve(t, (socket) => {
      const writeOn = (error?: Error | null): void => {
        failure = error
        if (error || socket.destroyed) resolve()
        else socket.write(Buffer.alloc(mebibytes(1)), writeOn)
      }
      writeOn()
    }).then((port) => {
      const client = connect(port, '127.0.0.1')
      client.once('data', () => client.resetAndDestroy())
    })
  })
  await done
  t.match(failure?.code, /^(EPIPE|ECONNRESET)$/)
})

t.test('a write is a sign of life', async (t) => {
  const renewed: number[] = []
  const port = await serve(t, (socket) => {
    socket.setTimeout(60_000)
    const renew = socket.setTimeout.bind(socket)
    socket.setTimeout = (ms, callback) => {
      renewed.push(ms)
      return renew(ms, callback)
    }
    socket.write(Buffer.alloc(kibibytes(256)), () => socket.end(Buffer.alloc(kibibytes(256))))
  })
  t.equal((await readAll(connect(port, '127.0.0.1'))).length, 2 * kibibytes(256))
  t.same(renewed, [60_000, 60_000])
})

t.test('without what Node does not document: as ever', async (t) => {
  const bytes = pattern(kibibytes(700), 0)
  const port = await serve(t, (socket) => {
    const { _handle: handle } = socket as unknown as { _handle: object }
    Object.defineProperty(handle, 'fd', { value: undefined })
    socket.end(bytes)
  })
  t.ok((await readAll(connect(port, '127.0.0.1'))).equals(bytes))
})
