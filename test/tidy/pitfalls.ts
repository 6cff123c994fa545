// Pitfalls: what code, tests and pages cite by number is in the tables of docs/pitfalls.md, once.
import type { TextFile } from './sources.ts'

const PAGE = 'docs/pitfalls.md'

/** Numbers that are cited and not on the page, and numbers that are there twice. */
export function checkPitfalls(files: readonly TextFile[]): string[] {
  const numbers = numbersOn(files.find(({ path }) => path === PAGE)?.text ?? '')
  const known = new Set(numbers)
  const twice = numbers.filter((number, index) => numbers.indexOf(number) !== index)
  return [
    ...twice.map((number) => `${PAGE}: pitfall ${number} is there twice`),
    ...files.flatMap(({ path, text }) =>
      citedIn(text)
        .filter((number) => !known.has(number))
        .map((number) => `${path}: pitfall ${number} is not in ${PAGE}`),
    ),
  ]
}

function numbersOn(page: string): string[] {
  return [...page.matchAll(/^\| (\d+[a-z]?) \|/gm)].map((match) => match[1] ?? '')
}

const NUMBER = '\\d+[a-z]?'
/** A number or a list, as in `pitfalls 14 to 25, 78`. */
const CITED = new RegExp(`\\bpitfalls? (${NUMBER}(?:(?:,|,? and| to) ${NUMBER})*)`, 'gi')

function citedIn(text: string): string[] {
  const lists = [...text.matchAll(CITED)].map((match) => match[1] ?? '')
  return lists.flatMap((list) => list.split(/,? and |, /).flatMap(numbersOf))
}

/** `14 to 25` is all of them; where letters follow numbers its ends only. */
function numbersOf(range: string): string[] {
  const [first = '', last] = range.split(' to ')
  if (last === undefined) return [first]
  const from = Number.parseInt(first, 10)
  const between = Math.max(0, Number.parseInt(last, 10) - from - 1)
  const inner = Array.from({ length: between }, (_, index) => String(from + index + 1))
  return [first, ...inner, last]
}
