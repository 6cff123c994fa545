// Reads the XML that clients send: any order, any or no namespace, any white space, no entities but XML's own five.
// Text stays text: a key of `007` or ` a ` is what was sent.
import { XMLParser, XMLValidator } from 'fast-xml-parser'
import { S3Error } from '../s3-error.ts'

/** An element: its text (references resolved, spaces kept) and the elements in it. */
export interface XmlElement {
  name: string
  text: string
  children: XmlElement[]
}

/** No document of S3 is deeper than 6. */
const NESTED_TAGS_MAX = 16

/** Tags, their attributes and references of a document: parsing takes as long as there are many of them, and all others wait. */
const MARKS_MAX = 50_000

/** No text of a document is so long. */
const TEXT_LENGTH_MAX = 64 * 1024

// References are resolved here, not by the parser: it bounds their number at less than 10,000 quoted ETags need.
const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  removeNSPrefix: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  cdataPropName: '#cdata',
  maxNestedTags: NESTED_TAGS_MAX,
})

/**
 * The root element of `text`, which must be called `rootName`, or one of them. Anything else is MalformedXML, and so is a document
 * of more than `marksMax` tags, spaces and equals signs in tags, and references.
 */
export function readXml(
  text: string,
  rootName: string | readonly string[],
  marksMax = MARKS_MAX,
): XmlElement {
  refuseMarks(text, marksMax)
  const nodes = parse(text).filter((node) => !('#text' in node))
  const root = nodes.length === 1 ? toElement(nodes[0]!) : undefined
  if (root === undefined || ![rootName].flat().includes(root.name)) throw malformed()
  return root
}

/** The refusal of a document that is not what the operation reads. */
export function malformed(cause?: unknown): S3Error {
  return new S3Error('MalformedXML', {}, { cause })
}

/** Children called `name`. */
export function childrenOf(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((child) => child.name === name)
}

/** Throws MalformedXML for a child of another name: nobody shall believe that it was heard. */
export function refuseOthers(parent: XmlElement, names: readonly string[]): void {
  if (parent.children.some(({ name }) => !names.includes(name))) throw malformed()
}

/** Text of the only child called `name`; undefined when there is none, MalformedXML when there are several. */
export function textOf(parent: XmlElement, name: string): string | undefined {
  const [first, second] = childrenOf(parent, name)
  if (second || (first && first.children.length > 0)) throw malformed()
  return first?.text
}

/** What the parser makes of a document in order: one key per node, its tag. */
type Node = Readonly<Record<string, unknown>>

function parse(text: string): Node[] {
  // A document type is where entities are declared: nobody honest sends one (pitfall 44).
  if (/<!(DOCTYPE|ENTITY)|\0/i.test(text)) throw malformed()
  try {
    if (XMLValidator.validate(text) !== true) throw malformed()
    return parser.parse(text) as Node[]
  } catch (error) {
    throw error instanceof S3Error ? error : malformed(error)
  }
}

function toElement(node: Node): XmlElement {
  const name = Object.keys(node)[0] ?? ''
  const element: XmlElement = { name, text: '', children: [] }
  for (const inner of node[name] as Node[]) {
    if ('#text' in inner) element.text += resolveReferences(String(inner['#text']))
    else if ('#cdata' in inner) element.text += cdataText(inner)
    else element.children.push(toElement(inner))
  }
  return element
}

function cdataText(node: Node): string {
  return (node['#cdata'] as Node[]).map((inner) => String(inner['#text'])).join('')
}

const NAMED: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&quot;': '"',
  '&apos;': "'",
}

const DECLARATION = /^\ufeff?<\?xml[^<>?]{0,256}\?>/

/** Throws for a document of too many marks, before it is parsed, and for instructions, which have attributes as well: nobody sends any. */
function refuseMarks(text: string, max: number): void {
  let count = 0
  for (let at = text.indexOf('&'); at >= 0 && count <= max; at = text.indexOf('&', at + 1)) {
    count += 1
  }
  const { length: start } = DECLARATION.exec(text)?.[0] ?? ''
  for (let at = text.indexOf('<', start); at >= 0 && count <= max; at = text.indexOf('<', at)) {
    const { end, marks } = readMark(text, at)
    count += marks
    at = end
  }
  if (count > max) throw malformed()
}

/** The marks of what begins with `<`, and where it ends. What is no tag has one. */
function readMark(text: string, start: number): { end: number; marks: number } {
  if (text.startsWith('<?', start)) throw malformed()
  if (text.startsWith('<!--', start)) return { end: endOf(text, '-->', start + 4), marks: 1 }
  if (text.startsWith('<![CDATA[', start)) return { end: endOf(text, ']]>', start), marks: 1 }
  return readTag(text, start)
}

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from)
  return at < 0 ? text.length : at + mark.length
}

/** An attribute is a run of spaces, an equals sign, or both, even between quotes: the parser knows other quotes in odd places. */
function readTag(text: string, start: number): { end: number; marks: number } {
  let marks = 1
  let quote = ''
  let isBlank = false
  let at = start + 1
  for (; at < text.length; at += 1) {
    const character = text[at]!
    if (character === '>' && quote === '') break
    if (character === '"' || character === "'") {
      if (quote === '') quote = character
      else if (quote === character) quote = ''
    }
    const wasBlank = isBlank
    isBlank = character <= ' '
    if (character === '=' || (isBlank && !wasBlank)) marks += 1
  }
  return { end: at, marks }
}

function resolveReferences(text: string): string {
  if (!text.includes('&')) return text
  if (text.length > TEXT_LENGTH_MAX) throw malformed()
  return text.replace(/&[^;&]{0,12};?/g, (reference) => {
    const resolved = NAMED[reference] ?? characterOf(reference)
    if (resolved === undefined) throw malformed()
    return resolved
  })
}

function characterOf(reference: string): string | undefined {
  const [, hex, decimal] = /^&#(?:x([0-9a-f]{1,6})|([0-9]{1,7}));$/i.exec(reference) ?? []
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  // NUL is no character of XML, and of no key: an answer that named it again would be no XML either.
  const isScalar = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff)
  return isScalar ? String.fromCodePoint(code) : undefined
}
