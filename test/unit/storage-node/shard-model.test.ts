// Any order of operations on a shard store gives what a map in memory gives (fast-check).
import fc from 'fast-check'
import t from 'tap'
import {
  judgeShard,
  putShard,
  type SampleShard,
  sampleShard,
  writeCells,
} from '../../contracts/shard-samples.ts'
import { Seeded } from '../../support/seeded.ts'
import { PATH, ShardFixture } from './shard-fixture.ts'

interface Model {
  /** By a small number, so that operations meet the same shards again. */
  shards: Map<number, SampleShard>
  deleted: SampleShard[]
  /** The index was lost: deleted shards may be back. */
  mayResurrect: boolean
}

class Put implements fc.AsyncCommand<Model, ShardFixture> {
  readonly #name: number
  readonly #bytes: number
  readonly #abort: boolean

  constructor(name: number, bytes: number, abort: boolean) {
    this.#name = name
    this.#bytes = bytes
    this.#abort = abort
  }

  check(model: Readonly<Model>): boolean {
    return !model.shards.has(this.#name)
  }

  async run(model: Model, fixture: ShardFixture): Promise<void> {
    const seeded = new Seeded(this.#name * 7919 + this.#bytes)
    const shard = sampleShard(seeded, this.#bytes, 512)
    if (this.#abort) await (await writeCells(fixture.store, shard)).abort()
    else {
      await putShard(fixture.store, shard)
      model.shards.set(this.#name, shard)
      model.deleted = model.deleted.filter((gone) => !sameId(gone, shard))
    }
  }

  toString(): string {
    return `put(${this.#name}, ${this.#bytes}${this.#abort ? ', abort' : ''})`
  }
}

class Delete implements fc.AsyncCommand<Model, ShardFixture> {
  readonly #name: number

  constructor(name: number) {
    this.#name = name
  }

  check(model: Readonly<Model>): boolean {
    return model.shards.has(this.#name)
  }

  async run(model: Model, fixture: ShardFixture): Promise<void> {
    const shard = model.shards.get(this.#name)!
    await fixture.store.deleteShard(shard.description.id)
    model.shards.delete(this.#name)
    model.deleted.push(shard)
  }

  toString(): string {
    return `delete(${this.#name})`
  }
}

type Act = 'compact' | 'reopen' | 'lose index'

class Do implements fc.AsyncCommand<Model, ShardFixture> {
  readonly #act: Act

  constructor(act: Act) {
    this.#act = act
  }

  check(): boolean {
    return true
  }

  async run(model: Model, fixture: ShardFixture): Promise<void> {
    if (this.#act === 'compact') await fixture.store.compactOnce()
    else if (this.#act === 'reopen') await fixture.reopen()
    else {
      await fixture.reopen(() => fixture.machine.levels.clear(`${PATH}/shards.db`))
      model.mayResurrect = true
    }
    await compare(model, fixture)
  }

  toString(): string {
    return this.#act
  }
}

async function compare(model: Model, fixture: ShardFixture): Promise<void> {
  for (const [name, shard] of model.shards) {
    const judged = await judgeShard(fixture.store, shard)
    if (judged !== 'whole') throw new Error(`shard ${name} is ${judged}`)
  }
  for (const shard of model.deleted) {
    const judged = await judgeShard(fixture.store, shard)
    if (judged === 'missing' || (model.mayResurrect && judged === 'whole')) continue
    throw new Error(`a deleted shard is ${judged}`)
  }
}

function sameId(left: SampleShard, right: SampleShard): boolean {
  return left.description.id.uid === right.description.id.uid
}

const name = fc.integer({ min: 0, max: 15 })
const bytes = fc.oneof(fc.integer({ min: 0, max: 2500 }), fc.integer({ min: 2501, max: 6000 }))
const commands = [
  fc
    .tuple(name, bytes, fc.boolean())
    .map((args) => new Put(args[0], args[1], args[2] && args[1] % 5 === 0)),
  fc.tuple(name, bytes).map(([each, size]) => new Put(each, size, false)),
  name.map((each) => new Delete(each)),
  fc.constantFrom<Act>('compact', 'reopen', 'lose index').map((act) => new Do(act)),
]

t.test('a store is a map of shards', async (t) => {
  const seed = 20_240_601
  t.comment(`seed ${seed}`)
  const property = fc.asyncProperty(
    fc.commands(commands, { maxCommands: 60, size: 'max' }),
    async (run) => {
      const setup = async () => ({
        model: { shards: new Map(), deleted: [], mayResurrect: false } as Model,
        real: await ShardFixture.open(),
      })
      await fc.asyncModelRun(setup, run)
    },
  )
  await fc.assert(property, { seed, numRuns: 60 })
  t.pass('it holds')
})
