// The world failed between nodes: what a caller may conclude is in the type.

/** `not-sent`: the other node can not have done anything. `unknown`: it may have done it, or do it until the deadline. */
export type Outcome = 'not-sent' | 'unknown'

/** No answer came that can be believed: the node is away, late, or somebody changed what it said. */
export class NodeUnreachable extends Error {
  override readonly name = 'NodeUnreachable'
  readonly code = 'NODE_UNREACHABLE'
  readonly outcome: Outcome

  constructor(message: string, outcome: Outcome, options?: { cause?: unknown }) {
    super(message, options)
    this.outcome = outcome
  }
}

/** The other node answered, and did nothing of what was asked. */
export class NodeRefused extends Error {
  override readonly name = 'NodeRefused'
  readonly code = 'NODE_REFUSED'
  /** `late`: the deadline was over. `unknown-request`: it does not know such a request, or can not read it. */
  readonly reason: 'closing' | 'late' | 'unknown-request'

  constructor(message: string, reason: NodeRefused['reason']) {
    super(message)
    this.reason = reason
  }
}

/** The request was begun and failed there for a reason that has no type of its own. Its outcome is unknown. */
export class NodeFailed extends Error {
  override readonly name = 'NodeFailed'
  readonly code = 'NODE_FAILED'
}

/** The two nodes have no version of the protocol in common. */
export class VersionsTooFarApart extends Error {
  override readonly name = 'VersionsTooFarApart'
  readonly code = 'VERSIONS_TOO_FAR_APART'
}

/** Frames that were changed, cut off or moved, or never were any: who sent them is not known, and gets nothing. */
export class BrokenFrames extends Error {
  override readonly name = 'BrokenFrames'
  readonly code = 'BROKEN_FRAMES'
}

/** What a node of the cluster said can not be understood. Of what came from outside: never an assertion. */
export class BadMessage extends Error {
  override readonly name = 'BadMessage'
  readonly code = 'BAD_MESSAGE'
}
