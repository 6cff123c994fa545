// Addresses as URLs have them: what is listened on, and what somebody on this machine asks for it.

/** http://127.0.0.1:9000; addresses of IPv6 in brackets. */
export function originOf(
  scheme: 'http' | 'https',
  { address, port }: { address: string; port: number },
): string {
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** An origin as it is asked from this machine: what listens on all addresses also listens on 127.0.0.1. */
export function localOrigin(origin: string): string {
  return origin.replace(/\/\/(0\.0\.0\.0|\[::\])(?=:\d+$)/, '//127.0.0.1')
}
