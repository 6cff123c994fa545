// The owner that documents show. Until there are users everything belongs to root.
import { container, element } from './write.ts'

/** A canonical id, as S3 has them: 64 hex digits that say nothing. It may never change: clients compare it. */
export const OWNER = {
  id: '7b1f0c4d9e3a52866af0d1c7b4e89325d0c6f1a7e2b39485610fd8a4c7e3b592',
  displayName: 'root',
} as const

/** `ID` and `DisplayName` in an element of this name. */
export function ownerElement(name: 'Owner' | 'Initiator' = 'Owner'): string {
  return container(name, element('ID', OWNER.id) + element('DisplayName', OWNER.displayName))
}
