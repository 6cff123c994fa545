// npm run sim-cluster -- --from S --seeds N [--append FILE]: runs seeds of a whole cluster. --seed S --log: what one does.
import { runProgram } from '../slices.ts'
import { simulateCluster } from './simulate.ts'

process.exitCode = await runProgram(simulateCluster)
