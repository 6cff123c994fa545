// Who a process of a cluster is to the others, and with what it proves that it belongs here.
import { assert } from '../kit/assert.ts'
import type { Coordinator } from '../placement/coordinator.ts'
import type { NodeIdentity } from '../storage-node/rpc/sessions.ts'

/** The secret is that of the state as it is when somebody asks. Throws where the state is of no cluster. */
export function identityIn(coordinator: Pick<Coordinator, 'state'>, nodeId: string): NodeIdentity {
  const { clusterId, cluster } = coordinator.state
  assert(cluster !== undefined, 'the state in etcd is that of a cluster')
  let known = ''
  let secrets: Uint8Array[] = []
  return {
    clusterId,
    nodeId,
    secrets: () => {
      const secret = coordinator.state.cluster?.secret ?? ''
      if (secret !== known) secrets = [Buffer.from(secret, 'hex')]
      known = secret
      return secrets
    },
  }
}
