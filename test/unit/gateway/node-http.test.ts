// The gateway's tests once more, over Node's server.
process.env.HTTP = 'node'
for (const name of ['', '-body', '-garbage', '-pipelined', '-stream', '-tls'])
  await import(`./server${name}.test.js`)
