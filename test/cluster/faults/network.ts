// Machines of a test: network namespaces on one bridge, each with an address of its own. What sends nothing to whom is said by
// neighbours that do not exist, so that packets are lost in silence and in one direction, with no firewall and no module of the
// kernel. The bridge and the clients are in a namespace as well: nothing of this machine's own network is touched.
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

/** Where the bridge and the clients are. */
export const HUB = 'hub'

// RFC 2544: for trials of networks, and routed nowhere.
const SUBNET = '198.18.0'
const FIRST_HOST = 10
const DEVICE = 'eth0'
const NOBODY = '02:00:00:00:00:ff'
const FROM_ENVIRONMENT = 'KINTSUGI_TEST_NETWORK'

/** A way between two machines, in one direction. */
export interface Way {
  from: string
  to: string
}

/** Some machines, by their names. */
export class Network {
  readonly #prefix: string
  readonly #names: readonly string[]

  private constructor(prefix: string, names: readonly string[]) {
    this.#prefix = prefix
    this.#names = names
  }

  /** Why none can be made here; undefined when one can. */
  static trouble(): string | undefined {
    if (process.getuid?.() !== 0) return 'network namespaces take root'
    const name = `kt${process.pid}-try`
    const tries = [
      ['netns', 'add', name],
      ['-n', name, 'link', 'add', 'br0', 'type', 'bridge'],
      ['-n', name, 'link', 'add', DEVICE, 'type', 'veth', 'peer', 'name', 'other'],
      ['netns', 'del', name],
    ]
    for (const words of tries) {
      const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' })
      if (status !== 0) return `ip ${words.join(' ')} does not work here: ${stderr}`.trim()
    }
    return undefined
  }

  /** Makes them, with all ways open. */
  static async make(names: readonly string[]): Promise<Network> {
    const network = new Network(`kt${process.pid}-`, names)
    const { stdout: present } = await ip(['netns', 'list'])
    if (present.includes(network.#prefix)) throw new Error(`${network.#prefix}… are there already`)
    for (const name of [HUB, ...names]) await ip(['netns', 'add', network.#space(name)])
    await network.#batch(HUB, [
      'link set lo up',
      'link add br0 type bridge',
      `addr add ${SUBNET}.1/24 dev br0`,
      'link set br0 up',
    ])
    for (const name of names) await network.#plugIn(name)
    return network
  }

  /** That of the process that started this one, which is in the hub. */
  static fromEnvironment(): Network {
    const text = process.env[FROM_ENVIRONMENT]
    if (text === undefined) throw new Error('this runs in a network of a test')
    const { prefix, names } = JSON.parse(text) as { prefix: string; names: string[] }
    return new Network(prefix, names)
  }

  /** For a process in the hub. */
  get environment(): Record<string, string> {
    return { [FROM_ENVIRONMENT]: JSON.stringify({ prefix: this.#prefix, names: this.#names }) }
  }

  /** Of a machine. */
  addressOf(name: string): string {
    const at = this.#names.indexOf(name)
    if (at < 0) throw new Error(`there is no machine ${name}`)
    return `${SUBNET}.${FIRST_HOST + at}`
  }

  /** The words that run a program on a machine. The process that starts them becomes the program. */
  wordsFor(name: string, words: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.#space(name), ...words]
  }

  /** Everything on these ways is lost from now on. */
  async cut(ways: readonly Way[]): Promise<void> {
    await this.#change(
      ways,
      (address) => `neigh replace ${address} lladdr ${NOBODY} dev ${DEVICE} nud permanent`,
    )
  }

  /** Opens them again. */
  async mend(ways: readonly Way[]): Promise<void> {
    await this.#change(ways, (address) => `neigh del ${address} dev ${DEVICE}`)
  }

  /** Both directions between each of `some` and everybody else. */
  waysAround(some: readonly string[]): Way[] {
    const others = this.#names.filter((name) => !some.includes(name))
    return some.flatMap((one) =>
      others.flatMap((other) => [
        { from: one, to: other },
        { from: other, to: one },
      ]),
    )
  }

  /** Ends whatever runs on them. */
  async endProcesses(): Promise<void> {
    for (const name of [HUB, ...this.#names]) {
      const { stdout } = await ip(['netns', 'pids', this.#space(name)])
      for (const pid of stdout.split('\n').filter((line) => line !== '')) end(Number(pid))
    }
  }

  /** Takes them away, and ends what runs on them. */
  async remove(): Promise<void> {
    await this.endProcesses()
    for (const name of [...this.#names, HUB]) await ip(['netns', 'del', this.#space(name)])
  }

  async #plugIn(name: string): Promise<void> {
    const port = `v${this.#names.indexOf(name)}`
    const hub = this.#space(HUB)
    await this.#batch(name, [
      'link set lo up',
      `link add ${DEVICE} type veth peer name ${port} netns ${hub}`,
      `addr add ${this.addressOf(name)}/24 dev ${DEVICE}`,
      `link set ${DEVICE} up`,
    ])
    await this.#batch(HUB, [`link set ${port} master br0 up`])
  }

  async #change(ways: readonly Way[], lineFor: (address: string) => string): Promise<void> {
    const from = [...new Set(ways.map((way) => way.from))]
    await Promise.all(
      from.map((name) => {
        const to = ways.filter((way) => way.from === name).map((way) => way.to)
        return this.#batch(
          name,
          to.map((other) => lineFor(this.addressOf(other))),
        )
      }),
    )
  }

  async #batch(name: string, lines: readonly string[]): Promise<void> {
    const running = ip(['-n', this.#space(name), '-batch', '-'])
    running.child.stdin?.end(`${lines.join('\n')}\n`)
    await running
  }

  #space(name: string): string {
    return `${this.#prefix}${name}`
  }
}

const run = promisify(execFile)

function ip(words: readonly string[]) {
  return run('ip', words, { encoding: 'utf8' })
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}
