// The answer of GetBucketAcl and GetObjectAcl where no grants exist: the owner may do everything.
import { OWNER, ownerElement } from '../owner.ts'
import { container, document, element } from '../write.ts'

/** Root AccessControlPolicy: one grant, FULL_CONTROL for the owner. */
export function ownerOnlyAclDocument(): string {
  const grantee =
    '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">' +
    element('ID', OWNER.id) +
    element('DisplayName', OWNER.displayName) +
    '</Grantee>'
  const grant = container('Grant', grantee + element('Permission', 'FULL_CONTROL'))
  return document('AccessControlPolicy', ownerElement() + container('AccessControlList', grant))
}
