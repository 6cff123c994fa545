// put-annotation and delete-annotation: named texts that are kept with one version and go when it goes.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectAnnotation.html
import type { Answers, NewAnnotation } from '../contract.ts'
import type { RowBatch } from '../log/contract.ts'
import type { Annotation, ObjectVersion } from '../records.ts'
import { decodeAnnotationRow, encodeAnnotationRow } from '../rows/annotation-row.ts'
import { annotationKey, annotationsOf, rangeOf } from '../rows/keys.ts'
import { answerChange } from './answer-change.ts'
import { ANNOTATIONS_MAX, discardAnnotation, oweShards } from './become-garbage.ts'
import { type Context, type Rule, refuse, type View } from './decision.ts'
import { isLocked } from './locks.ts'
import { timeMs } from './log-time.ts'
import { findToEdit, replaceVersion } from './version-to-edit.ts'

/** `locked` only where it would replace an annotation of a locked version; `too-many` only for one of a new name. */
export const putAnnotation: Rule<'put-annotation'> = {
  async decide(command, context) {
    const found = await findToEdit(command, context.view)
    if (found.kind !== 'found') return refuse(found)
    const { state, version: before } = found
    if (!matches(command.ifMatch, before)) return refuse(CONDITION_FAILED)
    const annotationsId = before.annotationsId ?? before.versionId
    const rowKey = annotationKey(annotationsId, command.annotation.name)
    const row = before.annotationsId && (await context.view.get(rowKey))
    const replaced = row ? decodeAnnotationRow(rowKey, row) : undefined
    if (replaced && isLocked(before, { nowMs: context.nowMs, bypass: false })) {
      return refuse({ kind: 'locked' })
    }
    if (!replaced && (await isFull(before, context.view))) return refuse({ kind: 'too-many' })

    const annotation = annotationAt(command.annotation, context.time)
    const version = { ...before, annotationsId, editId: command.commandId }
    const repeated = replaced?.blob?.uid === annotation.blob?.uid
    const batch = [
      ...replaceVersion(state, version),
      { key: rowKey, value: encodeAnnotationRow(annotation) },
      ...(replaced && !repeated ? discardAnnotation(command.bucket.id, replaced, context) : []),
      ...oweShards({ bucketId: command.bucket.id, key: command.key }, annotation.blob),
      answerChange(command, context, { version }),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', version, annotation } }
  },

  repeat: (command, { time, version }): Answers['put-annotation'] => ({
    kind: 'done',
    version: version!,
    annotation: annotationAt(command.annotation, time),
  }),
}

/** One that is not there is `done`, with nothing changed, even of a locked version. */
export const deleteAnnotation: Rule<'delete-annotation'> = {
  async decide(command, context) {
    const found = await findToEdit(command, context.view)
    if (found.kind !== 'found') return refuse(found)
    const { state, version: before } = found
    if (!matches(command.ifMatch, before)) return refuse(CONDITION_FAILED)
    const removal = await removeAnnotation(command, before, context)
    if (removal.length === 0) return refuse({ kind: 'done', version: before })
    const bypass = command.bypass ?? false
    if (isLocked(before, { nowMs: context.nowMs, bypass })) return refuse({ kind: 'locked' })
    const version = { ...before, editId: command.commandId }
    const batch = [
      ...replaceVersion(state, version),
      ...removal,
      answerChange(command, context, { version }),
    ]
    return { kind: 'answer', batch, answer: { kind: 'done', version } }
  },

  repeat: (_, { version }): Answers['delete-annotation'] => ({ kind: 'done', version: version! }),
}

const CONDITION_FAILED = {
  kind: 'condition-failed',
  condition: 'x-amz-object-if-match',
} as const

/** Changes that give a new version the annotations that it was copied with, and the version as it then is. */
export function annotated(
  version: ObjectVersion,
  annotations: readonly NewAnnotation[] | undefined,
  time: bigint,
): { version: ObjectVersion; rows: RowBatch } {
  if (!annotations || annotations.length === 0) return { version, rows: [] }
  const annotationsId = version.versionId
  const rows = annotations.map((annotation) => ({
    key: annotationKey(annotationsId, annotation.name),
    value: encodeAnnotationRow(annotationAt(annotation, time)),
  }))
  return { version: { ...version, annotationsId }, rows }
}

function annotationAt(annotation: NewAnnotation, time: bigint): Annotation {
  return { ...annotation, modifiedMs: timeMs(time) }
}

function matches(etags: string[] | undefined, { etag }: ObjectVersion): boolean {
  return etags === undefined || etags.some((wanted) => wanted === '*' || wanted === etag)
}

async function isFull({ annotationsId }: ObjectVersion, view: View): Promise<boolean> {
  if (annotationsId === undefined) return false
  const rows = await view.scan(rangeOf(annotationsOf(annotationsId)), ANNOTATIONS_MAX)
  return rows.length >= ANNOTATIONS_MAX
}

async function removeAnnotation(
  { bucket, name }: { bucket: { id: number }; name: string },
  { annotationsId }: ObjectVersion,
  context: Context,
): Promise<RowBatch> {
  if (annotationsId === undefined) return []
  const rowKey = annotationKey(annotationsId, name)
  const row = await context.view.get(rowKey)
  if (!row) return []
  const removed = decodeAnnotationRow(rowKey, row)
  return [{ key: rowKey, value: undefined }, ...discardAnnotation(bucket.id, removed, context)]
}
