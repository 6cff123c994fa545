// Deliberate bugs of the replication protocol: each forgets one of its rules. The simulation must find all of them.
import type { Bug } from '../bugs.ts'

/** Each is found within 500 seeds. */
export const REPLICATION_BUGS: readonly Bug[] = [
  {
    name: 'a primary begins without the promises of a majority',
    edits: [
      {
        file: 'metadata/replication/recovery.js',
        text: 'if (!hasMajorities(this.#decision, (id) => answers.has(id)))',
        by: 'if (answers.size === 0)',
      },
    ],
  },
  {
    name: 'a replica takes entries of an older reign than it promised',
    edits: [
      {
        file: 'metadata/replication/replica-log.js',
        text: 'if (this.#isBound(from, epoch)) {',
        by: "if (this.#isBound(from, epoch) && message.kind !== 'append') {",
      },
      {
        file: 'metadata/replication/replica-log.js',
        text: 'if (epoch === this.#promised && to === this.#promisedTo)',
        by: 'if (epoch <= this.#promised)',
      },
    ],
  },
  {
    name: 'a promise is not kept on the drive',
    edits: [
      {
        file: 'metadata/replication/replica-log.js',
        text: "return [{ kind: 'promise', epoch, to }];",
        by: 'return [];',
      },
    ],
  },
  {
    name: 'entries of older epochs are committed by counting',
    edits: [
      {
        file: 'metadata/replication/reign.js',
        text: 'if (this.#first === undefined || reached < this.#first)',
        by: 'if (this.#first === undefined)',
      },
    ],
  },
  {
    name: 'a read has no round of its own',
    edits: [
      {
        file: 'metadata/replication/read-rounds.js',
        text: 'this.#waiting.push({ read, sequence });',
        by: 'this.#confirmed.push({ read, sequence });',
      },
    ],
  },
  {
    name: 'an epoch is used again after a restart',
    edits: [
      {
        file: 'metadata/replication/partition-replica.js',
        text: '(promised % TERMS) + 1',
        by: 'promised % TERMS',
      },
      {
        file: 'metadata/replication/replica-log.js',
        text: "assert(epoch > this.#promised, 'a reign begins in an epoch that was never used');",
        by: '',
      },
    ],
  },
  {
    name: 'one replica is enough to commit',
    edits: [
      {
        file: 'metadata/replication/decision.js',
        text: 'return held[majorityOf(set) - 1];',
        by: 'return held[0];',
      },
    ],
  },
  {
    name: 'a replica answers before its drive has it',
    edits: [
      {
        file: 'metadata/replication/replica-log.js',
        text: "this.#hold(this.#issuedWrites, { kind: 'send', to, message });",
        by: "this.#hold(0, { kind: 'send', to, message });",
      },
    ],
  },
  {
    name: 'an entry that a replica has already cuts off what comes after it',
    edits: [
      {
        file: 'metadata/replication/replica-log.js',
        text: 'entries.findIndex((entry) => !this.#matches(entry))',
        by: 'entries.findIndex((entry) => entry.sequence > this.tail.base.sequence)',
      },
      {
        file: 'metadata/replication/replica-log.js',
        text: "assert(first > this.#committed, 'nothing that is committed is cut off');",
        by: '',
      },
    ],
  },
  {
    name: 'a replica believes committed what it holds beyond the message',
    edits: [
      {
        file: 'metadata/replication/replica-log.js',
        text: 'Math.min(committed, matched)',
        by: 'Math.min(committed, this.tail.last.sequence)',
      },
    ],
  },
  {
    name: 'replicas are changed in one step',
    edits: [
      {
        file: 'metadata/replication/decision.js',
        text: 'previous: decision.replicas };',
        by: 'previous: undefined };',
      },
      {
        file: 'metadata/replication/decision.js',
        text: "assert(joined.length <= 1 && left.length <= 1, 'one replica is changed at a time');",
        by: '',
      },
      {
        file: 'metadata/replication/membership.js',
        text: 'if (!view.hasLearned(learner))',
        by: `if (view.wanted.includes(view.self)) return decide(view, view.wanted);
        if (!view.hasLearned(learner))`,
      },
      {
        file: 'metadata/replication/membership.js',
        text: "return isReady ? { kind: 'decide', to } : { kind: 'none' };",
        by: "return { kind: 'decide', to };",
      },
    ],
  },
  {
    name: 'a learner counts like a replica',
    edits: [
      {
        file: 'metadata/replication/reign.js',
        text: 'heldByMajorities(this.#decision, (id) => this.#matchedOf(id))',
        by: '[this.#ownMatched, ...[...this.#followers.values()].map(({ matched }) => matched)].sort((left, right) => right - left)[this.#decision.replicas.length >> 1] ?? 0',
      },
    ],
  },
  {
    name: 'a new primary keeps its own log, whatever others have',
    edits: [
      {
        file: 'metadata/replication/recovery.js',
        text: 'if (comparePositions(last, target) > 0)',
        by: 'if (last === target)',
      },
    ],
  },
  {
    name: 'a new primary takes the longest log, not that of the latest epoch',
    edits: [
      {
        file: 'metadata/replication/log-tail.js',
        text: 'left.epoch - right.epoch || left.sequence - right.sequence',
        by: 'left.sequence - right.sequence',
      },
    ],
  },
  {
    name: 'who was told of a fence says so, and takes entries on',
    edits: [
      {
        file: 'metadata/replication/partition-replica.js',
        text: 'if (promise <= this.#log.promised)',
        by: 'if (promise > 0)',
      },
      {
        file: 'metadata/replication/partition-replica.js',
        text: 'return this.#log.promised >= reignEpoch(epoch, 0) && this.#log.isPromiseKept;',
        by: 'return true;',
      },
    ],
  },
  {
    name: 'a fence is said before it is durable, and while rows are copied',
    edits: [
      {
        file: 'metadata/replication/partition-replica.js',
        text: ' && this.#log.isPromiseKept;',
        by: ';',
      },
    ],
  },
  {
    name: 'a replica says that it has what it refused for its rows',
    edits: [
      {
        file: 'metadata/replication/replica-log.js',
        text: 'this.#answer(from, taken);',
        by: 'this.#answer(from, message);',
      },
    ],
  },
]
