// Seeds of a whole cluster, in as many processes as there are cores: `SIM_FROM` and `SIM_SEEDS` choose others.
import { runSlices } from './slice-runs.ts'

// So many have been looked at with all that can break now; the next step is 500.
const SEEDS = 20

runSlices('cluster/run.js', SEEDS)
