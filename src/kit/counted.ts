// Numbers of things in sentences.

/** `1 node`, `3 nodes`. */
export function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
