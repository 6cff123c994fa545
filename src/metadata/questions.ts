// The questions to a partition by their names: for those who put something between the asker and the partition.
import type { Queries } from './contract.ts'

/** The name of a question. */
export type QuestionName = keyof Queries

/** Asks a question by its name. */
export type Ask = <Name extends QuestionName>(
  name: Name,
  asked: Parameters<Queries[Name]>,
) => ReturnType<Queries[Name]>

/** Queries that go through `ask`, each of them. */
export function queriesThrough(ask: Ask): Queries {
  return {
    getObject: (...asked) => ask('getObject', asked),
    getManifest: (...asked) => ask('getManifest', asked),
    scanObjects: (...asked) => ask('scanObjects', asked),
    getUpload: (...asked) => ask('getUpload', asked),
    listParts: (...asked) => ask('listParts', asked),
    scanUploads: (...asked) => ask('scanUploads', asked),
    scanVersions: (...asked) => ask('scanVersions', asked),
    countUploads: (...asked) => ask('countUploads', asked),
    getAnnotation: (...asked) => ask('getAnnotation', asked),
    scanAnnotations: (...asked) => ask('scanAnnotations', asked),
    scanBlobs: (...asked) => ask('scanBlobs', asked),
    owedBlobs: (...asked) => ask('owedBlobs', asked),
    findBlob: (...asked) => ask('findBlob', asked),
    findInOrder: (...asked) => ask('findInOrder', asked),
    settle: (...asked) => ask('settle', asked),
    dueGarbage: (...asked) => ask('dueGarbage', asked),
  }
}

/** Asks `queries` the question of that name. */
export function askQuestion<Name extends QuestionName>(
  queries: Queries,
  name: Name,
  asked: Parameters<Queries[Name]>,
): ReturnType<Queries[Name]> {
  // TypeScript does not see that the method of a name takes what is asked under that name.
  const question = queries[name] as (
    ...asked: Parameters<Queries[Name]>
  ) => ReturnType<Queries[Name]>
  return question.apply(queries, asked)
}
