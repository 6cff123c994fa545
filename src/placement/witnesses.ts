// Whether a node is silent for the cluster, or only for one of its nodes: what every node that can be asked hears of it. A link
// that is cut keeps two nodes apart, and takes no drive out of service. Pure.

/** What one node knows of another. */
export interface HeardNode {
  nodeId: string
  /** How long the other one has not answered, as far as who says it was awake and asked. */
  silentMs: number
  /** Whether it has answered at all since it was asked first. */
  hasAnswered: boolean
}

/** What one node says of those that it asks. */
export interface Testimony {
  by: string
  heard: readonly HeardNode[]
}

/** What is to be judged, and by whom. */
export interface Witnesses {
  /** Of all nodes that can be asked, the asker among them. */
  testimonies: readonly Testimony[]
  /** How many nodes there are in all. */
  nodeCount: number
  /** A node that has said nothing for so long is away; and for so long, is to be done without. */
  awayMs: number
  silentMs: number
}

/** What most of those say who can tell. */
export interface Verdict {
  isSilent(nodeId: string): boolean
  answers(nodeId: string): boolean
}

/**
 * The verdict on each node is that of more than half of the others that can tell: who has begun to ask lately and was not
 * answered yet can not. Where they are of two minds a node is neither silent nor does it answer, and stays as it is.
 */
export function judge({ testimonies, nodeCount, awayMs, silentMs }: Witnesses): Verdict {
  const heardOf = (nodeId: string): HeardNode[] =>
    testimonies
      .filter(({ by }) => by !== nodeId)
      .flatMap(({ heard }) => heard.find((one) => one.nodeId === nodeId) ?? [])
  // A node that nobody else can speak of yet is not given up on the word of one, where there are others.
  const least = nodeCount > 2 ? 2 : 1
  return {
    isSilent: (nodeId) => {
      const heard = heardOf(nodeId)
      const silent = heard.filter((one) => one.silentMs >= silentMs)
      const canTell = heard.filter((one) => one.hasAnswered || one.silentMs >= silentMs)
      return silent.length >= least && silent.length * 2 > canTell.length
    },
    answers: (nodeId) => {
      const canTell = heardOf(nodeId).filter((one) => one.hasAnswered || one.silentMs >= awayMs)
      const answered = canTell.filter((one) => one.hasAnswered && one.silentMs < awayMs)
      return answered.length * 2 > canTell.length
    },
  }
}
