// The answer of DeleteObjects: what is gone, and what could not be deleted.
import { container, document, element, optionalElement } from '../write.ts'

/** What became of one key. */
export type DeleteOutcomeOfKey =
  | {
      kind: 'deleted'
      key: string
      versionId: string | undefined
      /** Id of the delete marker that was made or removed. */
      marker: string | undefined
    }
  | { kind: 'error'; key: string; versionId: string | undefined; code: string; message: string }

/** Quiet answers name the failures only. */
export function deleteResultDocument(outcomes: DeleteOutcomeOfKey[], quiet: boolean): string {
  const shown = quiet ? outcomes.filter(({ kind }) => kind === 'error') : outcomes
  return document('DeleteResult', shown.map(outcomeElement).join(''))
}

function outcomeElement(outcome: DeleteOutcomeOfKey): string {
  const which = element('Key', outcome.key) + optionalElement('VersionId', outcome.versionId)
  if (outcome.kind === 'deleted')
    return container('Deleted', which + markerElements(outcome.marker))
  return container(
    'Error',
    which + element('Code', outcome.code) + element('Message', outcome.message),
  )
}

function markerElements(marker: string | undefined): string {
  if (marker === undefined) return ''
  return element('DeleteMarker', true) + element('DeleteMarkerVersionId', marker)
}
