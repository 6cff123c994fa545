// How the replicas of metadata reach each other: the seam at which a simulation puts a network of its own.

/** Carries bytes that only those at both ends understand: what the replicas of metadata say to each other. */
export interface MessageTransport {
  /**
   * Sends `bytes` to a node and gives its answer. Messages of one lane may be sent together and wait for each other.
   * Rejects with NodeUnreachable, whose `outcome` says whether it may have arrived, with NodeRefused, NodeFailed or
   * VersionsTooFarApart, and with Overloaded when too much waits for the node already. Whatever was sent may arrive twice
   * while somebody meddles with the network: who answers must bear that.
   */
  send(to: string, bytes: Uint8Array, options: SendOptions): Promise<Uint8Array>
}

/** How long a message is of use, and what it may have to wait for. */
export interface SendOptions {
  /** On the monotonic clock of this process. The other node begins nothing for it afterwards. */
  deadlineMs: number
  /** What may wait for each other, such as messages about the replicas of one drive. */
  lane: string
}
