// Pages: one title each, and whatever they point to exists.
import { posix } from 'node:path'
import type { TextFile } from './sources.ts'

/** Pages that do not begin with their one `# Title`. */
export function checkTitles(files: readonly TextFile[]): string[] {
  return pagesOf(files).flatMap(({ path, text }) => {
    const titles = withoutCode(text).filter((line) => line.startsWith('# '))
    const complaints =
      titles.length === 1 ? [] : [`${path}: ${titles.length} titles instead of one`]
    return text.startsWith('# ')
      ? complaints
      : [...complaints, `${path}: does not begin with a title`]
  })
}

/** Links to files or headings that do not exist. `exists` answers for paths from the root. */
export function checkLinks(
  files: readonly TextFile[],
  exists: (path: string) => boolean,
): string[] {
  const headings = new Map(pagesOf(files).map(({ path, text }) => [path, headingsOf(text)]))
  return pagesOf(files).flatMap((page) =>
    linksOf(page).flatMap((link) => complain(page.path, link)),
  )

  function complain(page: string, link: string): string[] {
    const heading = link.split('#')[1]
    const target = targetOf(page, link)
    if (!exists(target)) return [`${page}: ${link} does not exist`]
    const known = headings.get(target)
    const isKnown = heading === undefined || known === undefined || known.includes(heading)
    return isKnown ? [] : [`${page}: ${link} names no heading`]
  }
}

/** Links of pages that the package takes in, to what it leaves out. `taken`: `files` of package.json. */
export function checkPacked(files: readonly TextFile[], taken: readonly string[]): string[] {
  const isTaken = (path: string): boolean =>
    taken.some((entry) => path === entry || path.startsWith(`${entry}/`))
  return pagesOf(files)
    .filter(({ path }) => isTaken(path))
    .flatMap((page) =>
      linksOf(page)
        .filter((link) => !isTaken(targetOf(page.path, link)))
        .map((link) => `${page.path}: ${link} is not in the package`),
    )
}

/** Paths in backticks (`src/kit/world.ts`, `docs/formats/`) that do not exist. A `*` or `<` makes it a pattern. */
export function checkPaths(
  files: readonly TextFile[],
  exists: (path: string) => boolean,
): string[] {
  return pagesOf(files).flatMap(({ path, text }) =>
    withoutCode(text)
      .flatMap((line) => [
        ...line.matchAll(/`((?:src|test|docs|deploy|bench|scripts|bin)\/[^`\s]*)`/g),
      ])
      .map((match) => match[1] ?? '')
      .filter((named) => !/[*<…{]/.test(named) && !exists(named))
      .map((named) => `${path}: \`${named}\` does not exist`),
  )
}

/** Pages that comments, pages and what `src/` says name, and that do not exist: by their path from the root, or from the page itself. */
export function checkMentions(
  files: readonly TextFile[],
  exists: (path: string) => boolean,
): string[] {
  return files.flatMap((file) =>
    mentionsIn(file)
      .filter((named) => !exists(named))
      .filter((named) => !exists(posix.join(posix.dirname(file.path), named)))
      .map((named) => `${file.path}: ${named} does not exist`),
  )
}

/** Where the package lies once it is installed. */
const INSTALLED = /^.*\/node_modules\/kintsugi\//

/** Names of pages in a file, but for those of other projects: their `doc/`, and addresses. */
function mentionsIn({ path, text }: TextFile): string[] {
  const isCode = path.endsWith('.ts') && !path.startsWith('src/')
  const said = isCode ? commentsOf(text) : text
  return [...said.replace(/https?:\/\/\S+/g, '').matchAll(/[\w./-]*\w\.md\b/g)]
    .map(([named]) => named.replace(INSTALLED, ''))
    .filter((named) => !named.startsWith('doc/'))
}

/** What stands behind `//` and `*`; the strings of tests may be anything. */
function commentsOf(text: string): string {
  return text
    .split('\n')
    .map((line) => /(?:^|\s)(?:\/\/|\/?\*\*?)\s(.*)$/.exec(line)?.[1] ?? '')
    .join('\n')
}

function pagesOf(files: readonly TextFile[]): TextFile[] {
  return files.filter(({ path }) => path.endsWith('.md'))
}

/** Lines outside of fenced code. */
function withoutCode(text: string): string[] {
  let isCode = false
  return text.split('\n').filter((line) => {
    if (!line.trimStart().startsWith('```')) return !isCode
    isCode = !isCode
    return false
  })
}

/** Targets of links inside the repository. */
function linksOf({ text }: TextFile): string[] {
  return withoutCode(text)
    .flatMap((line) => [...line.replace(/`[^`]*`/g, '').matchAll(/\]\(([^)\s]+)\)/g)])
    .map((match) => match[1] ?? '')
    .filter((link) => !/^[a-z]+:/.test(link))
}

/** The path from the root that a link of a page leads to. */
function targetOf(page: string, link: string): string {
  const [file = ''] = link.split('#')
  return file === '' ? page : posix.normalize(posix.join(posix.dirname(page), file))
}

/** Headings as links name them: lower case, spaces to dashes, punctuation gone. */
function headingsOf(text: string): string[] {
  return withoutCode(text)
    .filter((line) => /^#+ /.test(line))
    .map((line) => line.replace(/^#+ /, '').toLowerCase())
    .map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-'))
}
