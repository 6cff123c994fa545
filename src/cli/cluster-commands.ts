// The commands of a cluster of many machines, on the command line.
import { Command } from 'commander'
import {
  CLUSTER_INIT_OPTIONS,
  CLUSTER_RECOVER_OPTIONS,
  CLUSTER_RESTORE_OPTIONS,
  CLUSTER_TOKEN_OPTIONS,
  GATEWAY_OPTIONS,
  NODE_JOIN_OPTIONS,
  NODE_OPTIONS,
} from '../config-cluster.ts'
import type { OptionSpec } from '../config-settings.ts'
import { leaveFrom, namedOptions, optionOf, QUIET } from './command-line.ts'

/** kintsugi cluster … */
export function clusterCommand(): Command {
  const command = new Command('cluster')
    .description(
      'A cluster of many machines with etcd between them: init, token, restore-coordinator, recover.',
    )
    .exitOverride((error) => leaveFrom('cluster', error))
    .configureOutput(QUIET)
  const init = tableCommand('init', 'cluster init', CLUSTER_INIT_OPTIONS)
    .description('Makes a cluster in etcd: its id, its secrets, and a token for each of its nodes.')
    .option('--json', 'answer for programs')
  init.action(async () => {
    const { initClusterCommand } = await import('./cluster.ts')
    await initClusterCommand({ options: namedOptions(init), json: isJson(init) })
  })
  const token = tableCommand('token', 'cluster token', CLUSTER_TOKEN_OPTIONS)
    .description('Makes a token with which one more node can join.')
    .option('--json', 'answer for programs')
  token.action(async () => {
    const { clusterTokenCommand } = await import('./cluster.ts')
    await clusterTokenCommand({ options: namedOptions(token), json: isJson(token) })
  })
  return command
    .addCommand(init)
    .addCommand(token)
    .addCommand(restoreCommand())
    .addCommand(recoverCommand())
}

function restoreCommand(): Command {
  const command = tableCommand(
    'restore-coordinator',
    'cluster restore-coordinator',
    CLUSTER_RESTORE_OPTIONS,
  )
    .description(
      'After etcd was lost, or restored from a backup: writes to it what nodes and gateways remember.',
    )
    .argument('DIR...', 'state directories of as many nodes and gateways as can be had, or copies')
    .option('--json', 'answer for programs')
  command.action(async (directories: string[]) => {
    const { restoreCoordinatorCommand } = await import('./restore-coordinator.ts')
    const words = { directories, options: namedOptions(command), json: isJson(command) }
    await restoreCoordinatorCommand(words)
  })
  return command
}

function recoverCommand(): Command {
  const command = tableCommand('recover', 'cluster recover', CLUSTER_RECOVER_OPTIONS)
    .description(
      'Says which metadata partitions lost most of their replicas, and what is left of them, while the nodes run; with --yes they are made again from that.',
    )
    .option('--json', 'answer for programs')
  command.action(async () => {
    const { recoverClusterCommand } = await import('./recover-cluster.ts')
    await recoverClusterCommand({ options: namedOptions(command), json: isJson(command) })
  })
  return command
}

/** kintsugi node … */
export function nodeCommand(): Command {
  const command = tableCommand('node', 'node', NODE_OPTIONS)
    .description(
      'Serves local directories, one drive each, to the gateways and nodes of a cluster.',
    )
    .argument('[DIR...]', 'drive directories; empty ones become drives of the cluster')
    // Options behind `join` are those of join.
    .enablePositionalOptions()
  command.action(async (directories: string[]) => {
    const { nodeProcess } = await import('./node.ts')
    await nodeProcess({ directories, options: namedOptions(command) })
  })
  const join = tableCommand('join', 'node join', NODE_JOIN_OPTIONS)
    .description('Makes a directory the state of a new node of the cluster that the token is of.')
    .argument('TOKEN', 'from kintsugi cluster init or kintsugi cluster token')
    .option('--json', 'answer for programs')
  join.action(async (token: string) => {
    const { joinNodeCommand } = await import('./node.ts')
    await joinNodeCommand(token, { options: namedOptions(join), json: isJson(join) })
  })
  return command.addCommand(join)
}

/** kintsugi gateway */
export function gatewayCommand(): Command {
  const command = tableCommand('gateway', 'gateway', GATEWAY_OPTIONS).description(
    'Serves S3 over the nodes of a cluster. Any number of gateways serve the same objects.',
  )
  command.action(async () => {
    const { gatewayProcess } = await import('./gateway.ts')
    await gatewayProcess({ options: namedOptions(command) })
  })
  return command
}

/** `fullName`: with that of the command it belongs to. */
function tableCommand(name: string, fullName: string, specs: readonly OptionSpec[]): Command {
  const command = new Command(name)
    .exitOverride((error) => leaveFrom(fullName, error))
    .configureOutput(QUIET)
  for (const spec of specs) command.addOption(optionOf(spec))
  return command
}

function isJson(command: Command): boolean {
  return command.getOptionValue('json') === true
}
