// What GET of a configuration answers when nobody ever set it and S3 does not call that an error (pitfall 96).
import { container, document, element } from '../write.ts'

const completeList = element('IsTruncated', false)

/** By the name of the configuration. */
export const UNSET_DOCUMENTS = {
  accelerate: document('AccelerateConfiguration', ''),
  logging: document('BucketLoggingStatus', ''),
  notification: document('NotificationConfiguration', ''),
  // Of every bucket since April 2023, and true here: ACLs are disabled.
  ownershipControls: document(
    'OwnershipControls',
    container('Rule', element('ObjectOwnership', 'BucketOwnerEnforced')),
  ),
  requestPayment: document('RequestPaymentConfiguration', element('Payer', 'BucketOwner')),
  analyticsList: document('ListBucketAnalyticsConfigurationResult', completeList),
  intelligentTieringList: document(
    'ListBucketIntelligentTieringConfigurationsOutput',
    completeList,
  ),
  inventoryList: document('ListInventoryConfigurationsResult', completeList),
  metricsList: document('ListMetricsConfigurationsResult', completeList),
} as const
