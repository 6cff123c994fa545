// How much the log says. Apart from the log itself, which is more than who only reads options should load.

/** Levels that `--log-level` takes. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
/** A level of the log: at each one it says all that it says at those before. */
export type LogLevel = (typeof LOG_LEVELS)[number]
