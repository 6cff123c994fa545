// What a gateway says about itself, whether it is one process or several: on its admin port, and to people.
import type { ClusterGateway } from '../cluster/gateway.ts'
import type { Readiness } from './admin-server.ts'

/** Of a gateway that does not serve yet. */
export const NOT_YET: Readiness = {
  ready: false,
  degraded: ['The gateway is starting: it waits for etcd, or for the first nodes of the cluster.'],
}

/** What people should know of the cluster. */
export function gatewayLines({ clusterId, readiness }: ClusterGateway): string[] {
  return [`Cluster       ${clusterId}`, ...readiness().degraded]
}

/** Prints where it serves, and `lines`. */
export function printGateway(
  { endpoint, lines }: { endpoint: string; lines: readonly string[] },
  adminEndpoint: string,
): void {
  const all = [`S3 endpoint   ${endpoint}`, `Admin         ${adminEndpoint}`, ...lines]
  process.stdout.write(`${all.join('\n')}\n`)
}
