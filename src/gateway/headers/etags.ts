// Lists of ETags in conditions: with quotes or without, weak or strong, `*` for any (pitfall 62).

/** Without quotes; weak ones keep their `W/`, so that a strong comparison never matches them. */
export function parseEtags(header: string): string[] {
  return header
    .split(',')
    .map((item) => item.trim().replace(/^(W\/)?"(.*)"$/, '$1$2'))
    .filter((etag, _, all) => etag !== '' || all.length === 1)
}

/** Whether the list names this ETag, or any. */
export function matchesEtag(
  etags: readonly string[],
  etag: string,
  how: 'strong' | 'weak',
): boolean {
  return etags.some(
    (wanted) => wanted === '*' || (how === 'weak' ? unweak(wanted) : wanted) === etag,
  )
}

/** The ETag without `W/`, for weak comparison. */
export function unweak(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}
