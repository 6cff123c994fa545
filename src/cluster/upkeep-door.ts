// Where others reach the upkeep of this node: open before upkeep has begun, which needs the others itself.
import { Overloaded } from '../kit/semaphore.ts'
import type { NodeService } from '../storage-node/rpc/node-service.ts'
import { UpkeepService, type UpkeepServiceParts } from '../storage-node/rpc/upkeep-service.ts'
import type { NodeUpkeep } from './node-upkeep.ts'
import { NO_STATUS } from './upkeep-status.ts'

/** Answers for upkeep once it is there. */
export class UpkeepDoor {
  readonly service: NodeService
  #upkeep: NodeUpkeep | undefined

  constructor(parts: Pick<UpkeepServiceParts, 'findLed' | 'primaries'>) {
    this.service = new UpkeepService({
      ...parts,
      take: (partition, report) => {
        if (this.#upkeep === undefined) throw new Overloaded('upkeep has not begun here')
        this.#upkeep.take(partition, report)
      },
      status: () => this.#upkeep?.status() ?? NO_STATUS,
      mendNow: () => {
        if (this.#upkeep === undefined) throw new Overloaded('upkeep has not begun here')
        return this.#upkeep.healNow()
      },
    })
  }

  /** It has begun. */
  open(upkeep: NodeUpkeep): void {
    this.#upkeep = upkeep
  }
}
