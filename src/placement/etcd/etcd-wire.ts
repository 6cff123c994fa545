// The JSON that etcd's gateway speaks: keys and values in base64, 64-bit numbers as text, what is zero left out.
// https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/

/** Which etcd answered, and the revision that it had. */
export interface EtcdHeader {
  clusterId: string
  revision: number
}

/** A key as etcd has it. */
export interface KeyValue {
  key: string
  value: Uint8Array
  /** The revision of its last change. */
  modRevision: number
  /** The lease that it goes with. */
  lease?: string
}

/** A span of keys. Without `rangeEnd` it is the one key. */
export interface KeyRange {
  key: string
  /** The first key that is not in it. */
  rangeEnd?: string
}

/** Which keys etcd is asked for; without `revision` as they are now. */
export interface RangeRequest extends KeyRange {
  /** So many keys at most, in order. */
  limit?: number
  /** As of this revision. */
  revision?: number
  /** Only keys that were changed at this revision or later. */
  minModRevision?: number
}

/** What etcd answers, in order of keys. `revision` is that of etcd by now, also where an older one was asked for. */
export interface RangeAnswer extends EtcdHeader {
  keys: KeyValue[]
  /** There are more behind the limit. */
  more: boolean
  /** How many keys are in the range, returned or not. */
  count: number
}

/** `modRevision` 0: there is no such key. */
export interface Compare {
  key: string
  modRevision: number
}

/** One change of a Txn. A key that is put without a lease has none from then on; one to delete need not be there. */
export type Change =
  | { kind: 'put'; key: string; value: Uint8Array; lease?: string }
  | { kind: 'delete'; key: string }

/** All changes or none: they are made when every comparison holds. */
export interface Txn {
  compare: readonly Compare[]
  changes: readonly Change[]
}

/** What became of a Txn. `revision`: that of its changes, where they were made. */
export interface TxnAnswer extends EtcdHeader {
  /** False: a comparison did not hold, and nothing was changed. */
  succeeded: boolean
}

/** A change that etcd tells of. `modRevision`: that of the change, of a deletion as well. */
export type WatchEvent =
  | { kind: 'put'; keyValue: KeyValue }
  | { kind: 'delete'; key: string; modRevision: number }

/** Events of one revision are never torn apart. */
export interface WatchAnswer extends EtcdHeader {
  events: WatchEvent[]
}

/** What an answer of etcd may hold; every field is checked or defaulted where it is read. */
export interface WireAnswer {
  header?: { cluster_id?: string; revision?: string }
  kvs?: WireKeyValue[]
  more?: boolean
  count?: string
  succeeded?: boolean
  ID?: string
  TTL?: string
  token?: string
}

interface WireKeyValue {
  key?: string
  value?: string
  mod_revision?: string
  lease?: string
}

/** One line of a watch. */
export interface WireWatchLine {
  result?: {
    header?: { cluster_id?: string; revision?: string }
    created?: boolean
    canceled?: boolean
    cancel_reason?: string
    compact_revision?: string
    events?: { type?: string; kv?: WireKeyValue }[]
  }
  error?: WireError
}

/** What etcd says when it refuses; watches have the names of the second line. */
export interface WireError {
  error?: string
  message?: string
  code?: number
  grpc_code?: number
}

/** The end of the span of all keys that begin with `prefix`, which ends in a character below U+007F. */
export function endOfPrefix(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}

/** The body of a call of `kv/range`. */
export function encodeRange(request: RangeRequest): object {
  const { limit, revision, minModRevision } = request
  return {
    ...encodeSpan(request),
    ...(limit === undefined ? {} : { limit: `${limit}` }),
    ...(revision === undefined ? {} : { revision: `${revision}` }),
    ...(minModRevision === undefined ? {} : { min_mod_revision: `${minModRevision}` }),
  }
}

/** The body of a call of `kv/txn`. Where a comparison fails it asks for nothing else to be done. */
export function encodeTxn({ compare, changes }: Txn): object {
  return {
    compare: compare.map(({ key, modRevision }) => ({
      key: base64(key),
      target: 'MOD',
      result: 'EQUAL',
      mod_revision: `${modRevision}`,
    })),
    success: changes.map(encodeChange),
  }
}

/** The body of a call of `watch`, for all changes from the revision `fromRevision` on, its own among them. */
export function encodeWatch(request: KeyRange & { fromRevision: number }): object {
  return {
    create_request: { ...encodeSpan(request), start_revision: `${request.fromRevision}` },
  }
}

/** The header of any answer. Never throws: without one the cluster has the empty id, and the revision is 0. */
export function decodeHeader({ header }: Pick<WireAnswer, 'header'>): EtcdHeader {
  return { clusterId: header?.cluster_id ?? '', revision: Number(header?.revision ?? 0) }
}

/** What `kv/range` answered. Nothing is checked: what was left out is empty, 0 or false, as in protobuf. */
export function decodeRange(answer: WireAnswer): RangeAnswer {
  return {
    ...decodeHeader(answer),
    keys: (answer.kvs ?? []).map(decodeKeyValue),
    more: answer.more ?? false,
    count: Number(answer.count ?? 0),
  }
}

/** The events in one line of a watch, if any. An event without a type is a put, which is 0 in protobuf. */
export function decodeEvents(events: NonNullable<WireWatchLine['result']>['events']): WatchEvent[] {
  return (events ?? []).map(({ type, kv }) => {
    const keyValue = decodeKeyValue(kv ?? {})
    const { key, modRevision } = keyValue
    return type === 'DELETE' ? { kind: 'delete', key, modRevision } : { kind: 'put', keyValue }
  })
}

function decodeKeyValue({ key, value, mod_revision: modRevision, lease }: WireKeyValue): KeyValue {
  return {
    key: Buffer.from(key ?? '', 'base64').toString('utf8'),
    value: Buffer.from(value ?? '', 'base64'),
    modRevision: Number(modRevision ?? 0),
    ...(lease === undefined || lease === '0' ? {} : { lease }),
  }
}

function encodeChange(change: Change): object {
  const key = base64(change.key)
  if (change.kind === 'delete') return { request_delete_range: { key } }
  const { value, lease } = change
  const bytes = Buffer.from(value).toString('base64')
  return { request_put: { key, value: bytes, ...(lease === undefined ? {} : { lease }) } }
}

function encodeSpan({ key, rangeEnd }: KeyRange): object {
  return {
    key: base64(key),
    ...(rangeEnd === undefined ? {} : { range_end: base64(rangeEnd) }),
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
