// Which of several replicas is right when they disagree, and which are not to be believed any more.
import type { Member } from './member.ts'

/** What someone who reads replicas tells and asks the host. */
export interface Doubts {
  /** Something in the rows of a member is not what it was. */
  onBadRows(member: Member, cause: unknown): void
  /** Looks for damage in the tables of a member; the trouble found, or undefined. Throws Overloaded where too much waits for its drive. */
  checkTables(member: Member): Promise<string | undefined>
}

/** What one replica says. */
export interface Answer<T> {
  member: Member
  answer: T
}

/**
 * Which of several answers that should be the same is right. Members that say something else are reported.
 * Damage found in tables decides; then the majority; then the one that has something rather than nothing.
 */
export async function believe<T>(
  answers: readonly Answer<T>[],
  compare: {
    isSame: (left: T, right: T) => boolean
    hasMore: (one: T, other: T) => boolean
  },
  parts: Doubts,
): Promise<T | undefined> {
  const { isSame, hasMore } = compare
  const [first, ...rest] = answers
  if (first === undefined) return undefined
  if (rest.every(({ answer }) => isSame(first.answer, answer))) return first.answer
  const sound: Answer<T>[] = []
  for (const answer of answers) {
    const trouble = await parts.checkTables(answer.member)
    if (trouble === undefined) sound.push(answer)
    else parts.onBadRows(answer.member, new Error(trouble))
  }
  const voters = sound.length > 0 ? sound : answers
  const votes = (one: T): number => voters.filter(({ answer }) => isSame(one, answer)).length
  const winner = voters.reduce((best, one) => {
    const lead = votes(one.answer) - votes(best.answer)
    return lead > 0 || (lead === 0 && hasMore(one.answer, best.answer)) ? one : best
  })
  for (const { member, answer } of voters) {
    if (isSame(winner.answer, answer)) continue
    parts.onBadRows(member, new Error('its rows are not those of the other replicas'))
  }
  return winner.answer
}
