// The answers of GetObjectLockConfiguration, GetObjectRetention and GetObjectLegalHold.
import type { BucketLock, Retention } from '../../../objects/object-store.ts'
import { isoTime } from '../../headers/dates.ts'
import { container, document, element, optionalElement } from '../write.ts'

/** Root ObjectLockConfiguration; a Rule only where there is a default retention, in days or in years as it was set. */
export function lockConfigurationDocument({ defaultRetention }: BucketLock): string {
  const enabled = element('ObjectLockEnabled', 'Enabled')
  return document(
    'ObjectLockConfiguration',
    enabled + (defaultRetention ? ruleOf(defaultRetention) : ''),
  )
}

/** Root Retention: mode and date. */
export function retentionDocument({ mode, untilMs }: Retention): string {
  return document('Retention', element('Mode', mode) + element('RetainUntilDate', isoTime(untilMs)))
}

/** Root LegalHold: `ON` or `OFF`. */
export function legalHoldDocument(on: boolean): string {
  return document('LegalHold', element('Status', on ? 'ON' : 'OFF'))
}

function ruleOf({ mode, days, years }: NonNullable<BucketLock['defaultRetention']>): string {
  const period = optionalElement('Days', days) + optionalElement('Years', years)
  return container('Rule', container('DefaultRetention', element('Mode', mode) + period))
}
