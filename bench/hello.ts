// A server of node:http that does nothing but answer, run as a process of its own: what a HEAD costs at least.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const NO_CONTENT = 204

const server = createServer((request, response) => {
  request.resume()
  response.writeHead(request.method === 'DELETE' ? NO_CONTENT : 200, { 'content-length': '0' })
  response.end()
})
server.listen(0, '127.0.0.1', () => {
  process.send?.((server.address() as AddressInfo).port)
})
// Whoever started us is gone.
process.on('disconnect', () => process.exit(0))
