// What can go wrong with etcd, as far as anyone decides by it.

/** No endpoint gave an answer that says anything. A change that was sent may have happened, or may happen still. */
export class EtcdUnavailable extends Error {
  override readonly name = 'EtcdUnavailable'
  readonly code = 'ETCD_UNAVAILABLE'
}

/** etcd answered that it does not do this: nothing was changed. */
export class EtcdRefused extends Error {
  override readonly name = 'EtcdRefused'
  readonly code = 'ETCD_REFUSED'
  /** The code of gRPC: 3 invalid, 5 not found, 7 permission denied, 8 no room, 16 not authenticated … */
  readonly grpcCode: number

  constructor(message: string, grpcCode: number) {
    super(message)
    this.grpcCode = grpcCode
  }
}

/** What was asked of an old revision is gone: whoever asked reads everything again. */
export class EtcdCompacted extends Error {
  override readonly name = 'EtcdCompacted'
  readonly code = 'ETCD_COMPACTED'
}
