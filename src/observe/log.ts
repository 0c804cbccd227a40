// Logs: JSON lines on stderr. A message is constant text; what varies goes into fields, so that lines can be counted.
//
// Levels: error = a human must act, warn = we will retry, info = state changed, debug = each decision. Field names are
// those of STYLE (`peer`, `prefix`, `node`, `pod`, `block`, `reason`, `err`). Stdout stays free for protocols.
import { pino, stdSerializers, stdTimeFunctions } from 'pino';

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFields = Readonly<Record<string, unknown>>;

/** What every part is handed. `child` names the part: its lines carry `component`. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(component: string): Log;
}

interface Sink {
  write(line: string): void;
}

/** Builds the root log. `sink` defaults to stderr, written synchronously: the last words before an exit are not lost. */
export function createLog(options: { level: LogLevel; base?: LogFields; sink?: Sink }): Log {
  const logger = pino(
    {
      level: options.level,
      base: { ...options.base },
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.errWithCause },
    },
    options.sink ?? pino.destination({ fd: 2, sync: true }),
  );
  return wrap(logger);
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (component) => wrap(logger.child({ component })),
  };
}

/** One line of text for any thrown value: message, then the causes behind it that it does not quote already. */
export function formatError(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const message = oneLine(error.message);
  const cause = error.cause === undefined ? '' : formatError(error.cause);
  return cause === '' || message.includes(cause) ? message : `${message}: ${cause}`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
