// Hundreds of seeds of a whole cluster, in as many processes as there are cores: `SIM_FROM` and `SIM_SEEDS` choose others.
import { runSlices } from './slice-runs.ts'

runSlices('cluster/run.js')
