// The page of S3 operations says what the gateway does: every operation is on it, and what is not built is called so.

const NOT_BUILT = '## Not implemented: 501'

/** Operations that the page lacks or tells wrongly. `built` says of each whether it does anything but 501. */
export function checkOperations(page: string, built: Record<string, boolean>): string[] {
  const [before = '', rest = ''] = page.split(NOT_BUILT)
  const refused = rest.split('## ')[0] ?? ''
  return Object.entries(built).flatMap(([name, isBuilt]) => {
    const right = isBuilt ? before : refused
    const wrong = isBuilt ? refused : before
    if (right.includes(`\`${name}\``)) return []
    if (!wrong.includes(`\`${name}\``)) return [`${name}: not in docs/operations.md`]
    return [`${name}: docs/operations.md says that it is ${isBuilt ? 'not ' : ''}implemented`]
  })
}
