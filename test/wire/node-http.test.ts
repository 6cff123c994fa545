// The HTTP layer under attack once more, over Node's server.
process.env.HTTP = 'node'
for (const name of ['http', 'framing', 'bodies', 'tls']) await import(`./${name}.test.js`)
