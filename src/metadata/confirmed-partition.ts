// A partition that may have been deposed without knowing: no question is answered before its log is sure that it was not.
import type { MetadataPartition } from './contract.ts'
import { askQuestion, queriesThrough } from './questions.ts'

/**
 * `partition`, asked only once `confirm` has resolved, which was called after the question came.
 * Commands pass: an entry of their own makes sure, and the pipeline asks for the others.
 */
export function confirmedPartition(
  partition: MetadataPartition,
  confirm: () => Promise<void>,
): MetadataPartition {
  const queries = queriesThrough((async (name, asked) => {
    await confirm()
    return await askQuestion(partition, name, asked)
  }) as Parameters<typeof queriesThrough>[0])
  return {
    ...queries,
    id: partition.id,
    tally: partition.tally,
    commit: (command, sending) => partition.commit(command, sending),
    judgeBlobs: (...of) => partition.judgeBlobs(...of),
    forgetExpired: () => partition.forgetExpired(),
    owedAfter: async (...of) => {
      await confirm()
      return await partition.owedAfter(...of)
    },
    countOwed: async () => {
      await confirm()
      return await partition.countOwed()
    },
    garbageAfter: async (...of) => {
      await confirm()
      return await partition.garbageAfter(...of)
    },
  }
}
