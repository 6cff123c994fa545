// npm run sim -- --from S --seeds N [--append FILE]: runs seeds and says which fail. --seed S --log: what one does.
import { simulate } from './simulate.ts'
import { runProgram } from './slices.ts'

process.exitCode = await runProgram(simulate)
