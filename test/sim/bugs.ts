// Deliberate bugs: what a change of the built code would do that forgets one of the rules. The simulation must find
// each of them; if it does not, it is too weak.

/** Text of a built file that is there exactly once, and what takes its place. */
export interface Edit {
  /** In dist/src. */
  file: string
  text: string
  by: string
}

/** One bug. */
export interface Bug {
  name: string
  edits: readonly Edit[]
}

/** Each is found within 500 seeds. */
export const BUGS: readonly Bug[] = [
  {
    name: 'shards are acknowledged before their segment is synced',
    edits: [
      {
        file: 'storage-node/segment/appender.js',
        text: 'await this.#drive.syncFile(file, this.#files.pathOf(segment.number));',
        by: '',
      },
    ],
  },
  {
    name: 'the directory of a new segment is not synced',
    edits: [
      {
        file: 'storage-node/segment/segment-files.js',
        text: 'await this.#drive.syncDirectory(this.directory);\n        const { disk } = this.#world;',
        by: 'const { disk } = this.#world;',
      },
    ],
  },
  {
    name: 'a drive that comes back is believed without a look at the others',
    edits: [
      {
        file: 'placement/coordinator-history.js',
        text: 'right.state.epoch - left.state.epoch',
        by: 'left.state.epoch - right.state.epoch',
      },
      {
        file: 'placement/coordinator-history.js',
        text: 'if (strangers(candidate, histories).length > 0)',
        by: 'if (candidate === undefined)',
      },
    ],
  },
  {
    name: 'commands are decided side by side, not in the order of the log',
    edits: [
      {
        file: 'metadata/commands/pipeline.js',
        text: 'this.#turn = new Semaphore(1,',
        by: 'this.#turn = new Semaphore(100,',
      },
    ],
  },
  {
    name: 'a read does not wait for the rows of a write that was answered',
    edits: [
      {
        file: 'metadata/commands/pipeline.js',
        text: 'return fate && this.#hurry(fate);',
        by: 'return undefined;',
      },
    ],
  },
  {
    name: 'a decision that failed leaves its epoch to the next one',
    edits: [
      {
        file: 'placement/coordinator-file.js',
        text: 'const epoch = state.epoch + 1;',
        by: 'const epoch = Math.max(2, state.epoch);',
      },
    ],
  },
  {
    name: 'garbage is deleted without a grace time, whoever reads it',
    edits: [
      {
        file: 'metadata/commands/become-garbage.js',
        text: 'Math.min(garbage.graceMs + readingMs, GARBAGE_DELAY_MS_MAX)',
        by: '0',
      },
      {
        file: 'storage-node/upkeep/collect-garbage.js',
        text: 'parts.isPinned(uid) ? undefined : parts.latch',
        by: 'parts.latch',
      },
    ],
  },
  {
    name: 'shards are swept away as orphans without a question to the rows',
    edits: [
      {
        file: 'storage-node/upkeep/orphan-rule.js',
        text: 'partitionOf(place).findInOrder(place, blobs)',
        by: 'Promise.resolve(blobs.map(() => undefined))',
      },
      {
        file: 'storage-node/upkeep/orphan-sweep.js',
        text: '!named.has(driveId, id) && rule',
        by: 'rule',
      },
    ],
  },
  {
    name: 'a change of metadata is acknowledged before its log is synced',
    edits: [
      {
        file: 'storage-node/metalog/log-file.js',
        text: 'await this.#drive.syncFile(this.#file, this.path);',
        by: '',
      },
    ],
  },
  {
    name: 'the checksum of a cell is not looked at when it is read',
    edits: [
      {
        file: 'storage-node/segment/cell-reads.js',
        text: 'if (damage !== undefined)',
        by: 'if (damage === null)',
      },
    ],
  },
  {
    name: 'a large shard that was made again is not synced before its row names it',
    edits: [
      {
        // Only who writes an object has metadata for the commit of its shards.
        file: 'storage-node/big-file.js',
        text: 'await drive.syncDraft(file);',
        by: 'if (metadata) await drive.syncDraft(file);',
      },
    ],
  },
  {
    name: 'a change of metadata is acknowledged as soon as one replica has it',
    edits: [
      {
        file: 'metadata/log/primary.js',
        text: 'return durable[needed - 1];',
        by: 'return durable[0];',
      },
    ],
  },
  {
    name: 'torn and rotten records of the metadata log are taken for whole',
    edits: [
      {
        file: 'storage-node/metalog/record.js',
        text: 'checksum === bytes.readBigUInt64LE(0) ? readKind(bytes) : undefined',
        by: 'readKind(bytes)',
      },
    ],
  },
]
