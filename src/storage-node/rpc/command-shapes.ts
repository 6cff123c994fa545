// The shapes of commands and of their answers, by the kind of the command: metadata/contract.ts says what they mean.
import type {
  Answers,
  Command,
  CompleteRefused,
  ConditionName,
  DeletionOutcome,
  KeyDeletion,
  KeyRefused,
  ListedPart,
  NewAnnotation,
  NewVersion,
  NotEditable,
  Refused,
  VersionEdit,
  WriteConditions,
} from '../../metadata/contract.ts'
import type { Part, Upload, VersionName } from '../../metadata/records.ts'
import {
  annotation,
  annotationFields,
  blob,
  bucketRef,
  checksum,
  deleteMarker,
  objectVersion,
  part,
  partFields,
  partNumber,
  retention,
  tag,
  upload,
  uploadFields,
  versionFields,
  versionName,
} from './record-shapes.ts'
import {
  bytes,
  choice,
  count,
  flag,
  just,
  list,
  number,
  optional,
  orUndefined,
  record,
  type Shape,
  some,
  text,
  uid,
  variants,
} from './shapes.ts'

type CommandKind = Command['kind']
type CommandOf<Kind extends CommandKind> = Extract<Command, { kind: Kind }>

const ofKey = { commandId: uid, bucket: bucketRef, key: text }
const etags = optional(list(text))
const yes = just(true)

const conditions = record<WriteConditions>({
  ifMatch: etags,
  ifNoneMatch: etags,
  ifMatchModified: optional(number),
  ifMatchBytes: optional(number),
  ifCurrent: optional(text),
})

const newAnnotation = record<NewAnnotation>(annotationFields)
const claimedChecksum = record<{ algorithm: string; value: string }>({
  algorithm: text,
  value: text,
})

const edit = variants<VersionEdit, 'what'>('what', {
  tags: record({ what: just('tags'), tags: list(tag) }),
  retention: record({
    what: just('retention'),
    retention: orUndefined(retention),
    bypass: flag,
  }),
  'legal-hold': record({ what: just('legal-hold'), on: flag }),
})

const COMMANDS: { [Kind in CommandKind]: Shape<CommandOf<Kind>> } = {
  'put-object': record<CommandOf<'put-object'>>({
    ...ofKey,
    kind: just('put-object'),
    version: record<NewVersion>(versionFields),
    conditions,
    annotations: optional(list(newAnnotation)),
  }),
  'append-object': record<CommandOf<'append-object'>>({
    ...ofKey,
    kind: just('append-object'),
    versionId: text,
    part: record<Omit<Part, 'number' | 'modifiedMs'>>(partFields),
    manifestUid: uid,
    etag: text,
    checksum: orUndefined(checksum),
    conditions,
  }),
  'delete-object': record<CommandOf<'delete-object'>>({
    ...ofKey,
    kind: just('delete-object'),
    versionId: optional(text),
    conditions,
    bypass: optional(yes),
  }),
  'delete-objects': record<CommandOf<'delete-objects'>>({
    kind: just('delete-objects'),
    commandId: uid,
    bucket: bucketRef,
    keys: some(record<KeyDeletion>({ key: text, versionId: optional(text), conditions })),
    bypass: optional(yes),
  }),
  'edit-version': record<CommandOf<'edit-version'>>({
    ...ofKey,
    kind: just('edit-version'),
    versionId: optional(text),
    edit,
  }),
  'put-annotation': record<CommandOf<'put-annotation'>>({
    ...ofKey,
    kind: just('put-annotation'),
    versionId: text,
    annotation: newAnnotation,
    ifMatch: etags,
  }),
  'delete-annotation': record<CommandOf<'delete-annotation'>>({
    ...ofKey,
    kind: just('delete-annotation'),
    versionId: optional(text),
    name: text,
    ifMatch: etags,
    bypass: optional(yes),
  }),
  'create-upload': record<CommandOf<'create-upload'>>({
    ...ofKey,
    kind: just('create-upload'),
    upload: record<Omit<Upload, 'initiatedMs'>>(uploadFields),
  }),
  'put-part': record<CommandOf<'put-part'>>({
    ...ofKey,
    kind: just('put-part'),
    uploadId: uid,
    part: record<Omit<Part, 'modifiedMs'>>({ ...partFields, number: partNumber }),
  }),
  'complete-upload': record<CommandOf<'complete-upload'>>({
    ...ofKey,
    kind: just('complete-upload'),
    uploadId: uid,
    parts: list(
      record<ListedPart>({ number: partNumber, etag: text, checksum: optional(claimedChecksum) }),
    ),
    conditions,
    claimed: record<CommandOf<'complete-upload'>['claimed']>({
      bytes: optional(number),
      checksum: optional(claimedChecksum),
      checksumType: optional(text),
    }),
    defaultRetention: optional(retention),
  }),
  'abort-upload': record<CommandOf<'abort-upload'>>({
    ...ofKey,
    kind: just('abort-upload'),
    uploadId: uid,
    ifInitiated: optional(number),
    idleSinceMs: optional(number),
  }),
  'set-bucket': record<CommandOf<'set-bucket'>>({
    kind: just('set-bucket'),
    commandId: uid,
    bucket: bucketRef,
    state: choice(['live', 'frozen']),
  }),
  'drop-bucket': record<CommandOf<'drop-bucket'>>({
    kind: just('drop-bucket'),
    commandId: uid,
    bucket: bucketRef,
  }),
  'move-blob': record<CommandOf<'move-blob'>>({
    kind: just('move-blob'),
    commandId: uid,
    rowKey: bytes,
    uid,
    part: partNumber,
    from: list(count),
    drives: list(count),
  }),
  'replace-blob': record<CommandOf<'replace-blob'>>({
    kind: just('replace-blob'),
    commandId: uid,
    rowKey: bytes,
    bucketId: count,
    uid,
    blob,
  }),
  'forget-garbage': record<CommandOf<'forget-garbage'>>({
    kind: just('forget-garbage'),
    commandId: uid,
    items: list(record<CommandOf<'forget-garbage'>['items'][number]>({ dueMs: number, uid })),
  }),
}

/** A command. */
export const commandShape: Shape<Command> = variants<Command, 'kind'>('kind', COMMANDS)

/** A record that says no more than its kind. */
function only<const Kind extends string>(kind: Kind): Shape<{ kind: Kind }> {
  const shape = record<{ kind: string }>({ kind: just(kind) })
  return (found, unknownFields) => {
    shape(found, unknownFields)
    return { kind }
  }
}

const done = only('done')
const noUpload = only('no-upload')
const gone = only('bucket-gone')
const elsewhere = only('elsewhere')

const CONDITIONS: readonly ConditionName[] = [
  'If-Match',
  'If-None-Match',
  'x-amz-if-match-last-modified-time',
  'x-amz-if-match-size',
  'x-amz-if-match-initiated-time',
  'x-amz-object-if-match',
]

type OfKind<Value extends { kind: string }> = {
  [Kind in Value['kind']]: Shape<Extract<Value, { kind: Kind }>>
}

const refusedForKey: OfKind<KeyRefused> = {
  'condition-failed': record<Extract<Refused, { kind: 'condition-failed' }>>({
    kind: just('condition-failed'),
    condition: choice(CONDITIONS),
  }),
  missing: only('missing'),
  locked: only('locked'),
}

const refused: OfKind<Refused> = { ...refusedForKey, 'bucket-gone': gone }

const deletion: OfKind<DeletionOutcome> = {
  ...refusedForKey,
  done: record<Extract<DeletionOutcome, { kind: 'done' }>>({
    kind: just('done'),
    removed: optional(
      record<VersionName & { deleteMarker: boolean }>({ ...versionName, deleteMarker: flag }),
    ),
    made: optional(deleteMarker),
  }),
}

const notEditable: OfKind<NotEditable> = {
  'no-version': only('no-version'),
  'delete-marker': record<Extract<NotEditable, { kind: 'delete-marker' }>>({
    kind: just('delete-marker'),
    marker: deleteMarker,
  }),
}

const completeRefused: OfKind<CompleteRefused> = {
  'no-upload': noUpload,
  'invalid-part': record<Extract<CompleteRefused, { kind: 'invalid-part' }>>({
    kind: just('invalid-part'),
    number: partNumber,
    etag: text,
  }),
  'part-order': only('part-order'),
  'part-too-small': record<Extract<CompleteRefused, { kind: 'part-too-small' }>>({
    kind: just('part-too-small'),
    number: partNumber,
    bytes: count,
    etag: text,
  }),
  'claim-failed': record<Extract<CompleteRefused, { kind: 'claim-failed' }>>({
    kind: just('claim-failed'),
    claim: choice(['bytes', 'checksum', 'checksum-type', 'part-checksum']),
    wanted: text,
    actual: text,
  }),
}

type Done<Kind extends CommandKind> = Extract<Answers[Kind], { kind: 'done' }>

const ANSWERS: { [Kind in CommandKind]: OfKind<Answers[Kind]> } = {
  'put-object': {
    ...refused,
    done: record<Done<'put-object'>>({ kind: just('done'), version: objectVersion }),
  },
  'append-object': {
    ...refused,
    done: record<Done<'append-object'>>({ kind: just('done'), version: objectVersion }),
    changed: only('changed'),
  },
  'delete-object': { ...deletion, 'bucket-gone': gone },
  'delete-objects': {
    done: record<Done<'delete-objects'>>({
      kind: just('done'),
      outcomes: some(variants<DeletionOutcome, 'kind'>('kind', deletion)),
    }),
    'bucket-gone': gone,
  },
  'edit-version': {
    ...refused,
    ...notEditable,
    done: record<Done<'edit-version'>>({ kind: just('done'), version: objectVersion }),
  },
  'put-annotation': {
    ...refused,
    ...notEditable,
    done: record<Done<'put-annotation'>>({
      kind: just('done'),
      version: objectVersion,
      annotation,
    }),
    'too-many': only('too-many'),
  },
  'delete-annotation': {
    ...refused,
    ...notEditable,
    done: record<Done<'delete-annotation'>>({ kind: just('done'), version: objectVersion }),
  },
  'create-upload': {
    ...refused,
    done: record<Done<'create-upload'>>({ kind: just('done'), upload }),
  },
  'put-part': {
    ...refused,
    done: record<Done<'put-part'>>({ kind: just('done'), part }),
    'no-upload': noUpload,
  },
  'complete-upload': {
    ...refused,
    ...completeRefused,
    done: record<Done<'complete-upload'>>({ kind: just('done'), version: objectVersion }),
  },
  'abort-upload': { ...refused, done, 'no-upload': noUpload },
  'set-bucket': {
    done: record<Done<'set-bucket'>>({ kind: just('done'), empty: flag }),
    'bucket-gone': gone,
  },
  'drop-bucket': { done },
  'move-blob': { done, elsewhere },
  'replace-blob': { done, elsewhere },
  'forget-garbage': { done },
}

/** What a command of the kind answers. */
export function answerShape<Kind extends CommandKind>(kind: Kind): Shape<Answers[Kind]> {
  // TypeScript does not see that the shapes of a kind are those of its answers.
  const shapes = ANSWERS[kind] as unknown as OfKind<{ kind: string }>
  return variants<{ kind: string }, 'kind'>('kind', shapes) as Shape<Answers[Kind]>
}
