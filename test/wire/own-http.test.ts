// The HTTP layer under attack once more, over the gateway's own reader and writer of it.
process.env.HTTP = 'own'
for (const name of ['http', 'framing', 'bodies', 'tls']) await import(`./${name}.test.js`)
