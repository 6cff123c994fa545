// Loaded into every test file before tap's own parts (`test-env` of tap in package.json): tap would have a thread of its own
// look at each module of each file, to say what was covered, which we do not ask. That took a third of what the tests take.
import module from 'node:module'

const { register } = module

module.register = (specifier, ...rest) => {
  if (!specifier.includes('/@tapjs/processinfo/')) register(specifier, ...rest)
}
