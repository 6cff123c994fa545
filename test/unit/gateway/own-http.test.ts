// The gateway's tests once more, over its own reader and writer of HTTP.
process.env.HTTP = 'own'
for (const name of ['', '-body', '-garbage', '-pipelined', '-stream', '-tls'])
  await import(`./server${name}.test.js`)
