// What a node is built of below its options: sizes and times that are nobody's to choose. A simulation makes them small.
import type { Tuning } from '../embedded/tuning.ts'
import type { ReplicaLimits } from '../storage-node/replicated/drive-replicas.ts'
import type { StewardOptions } from './steward.ts'

/** Whatever is absent is as usual. */
export interface NodeTuning extends Tuning {
  /** Of the replicas of metadata. */
  replicas?: Partial<ReplicaLimits>
  steward?: Partial<StewardOptions>
  /** Of the sweep for orphans: the same on all nodes. */
  orphans?: { blobAgeMsMax?: number; periodMs?: number }
}
