// The table of options in README.md says what the program takes, no more and no less.

/** What matters of an option here. */
interface Option {
  name: string
  fallback?: string
}

/** Options that the table lacks, that it invents, and defaults that it does not say. */
export function checkOptions(readme: string, options: readonly Option[]): string[] {
  const rows = [...readme.matchAll(/^\| (`--.*)$/gm)].map((match) => match[1] ?? '')
  const explained = rows.flatMap((row) =>
    [...row.matchAll(/`--([a-z-]+)`/g)].map((match) => match[1]),
  )
  const known = options.map(({ name }) => name)
  return [
    ...options.flatMap((option) => complain(option, rows)),
    ...explained
      .filter((name) => !known.includes(name ?? ''))
      .map((name) => `--${name}: README.md explains what does not exist`),
  ]
}

function complain({ name, fallback }: Option, rows: readonly string[]): string[] {
  const row = rows.find((text) => text.includes(`\`--${name}\``))
  if (row === undefined) return [`--${name}: not in the table of README.md`]
  const says = fallback === undefined || row.split('|')[1]?.includes(fallback)
  return says ? [] : [`--${name}: README.md does not say the default ${fallback}`]
}
