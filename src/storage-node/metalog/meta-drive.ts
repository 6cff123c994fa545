// What metadata needs of a drive: Drive has it, and tests can put something smaller in its place.
import type { DiskFile } from '../../kit/world.ts'

/** A drive that holds replicas of metadata. run() throws DriveUnavailable once the drive failed. */
export interface MetaDrive {
  readonly id: number
  readonly path: string
  readonly failure: unknown | undefined
  run<T>(operation: () => Promise<T>): Promise<T>
  /** `path`: where the file lies, for a cheaper look whether it is still there. */
  syncFile(file: DiskFile, path?: string): Promise<void>
  /** A write and syncFile() in one, of a file of openThrough(). */
  writeThrough(
    file: DiskFile,
    buffers: readonly Uint8Array[],
    position: number,
    path: string,
  ): Promise<void>
  /** Resolves when those who come at the same time had theirs queued as well. */
  gather(): Promise<void>
  syncDirectory(path: string): Promise<void>
  fail(cause: unknown): void
  onFailure(listener: (cause: unknown) => void): () => void
}
