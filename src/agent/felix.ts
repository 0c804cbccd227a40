// Felix as a part of the agent: settings, log shape, and which of its errors ends the agent with which code.
import { createFelix, FelixError, type Felix, type FelixLog, type FelixSettings } from '#felix';
import type { Log } from '#observe';
import { AgentFault, exitCodes } from './exit.ts';
import type { Life } from './life.ts';
import type { Settings } from './settings.ts';
import type { Tools } from './tools.ts';

const codes: Readonly<Partial<Record<FelixError['code'], number>>> = {
  NOT_ROOT: exitCodes.permission,
  PROGRAM_MISSING: exitCodes.missing,
  KERNEL_FEATURE: exitCodes.missing,
  INVALID: exitCodes.config,
};

/** Starts Felix; rejects with AgentFault naming what it misses. */
export async function startFelix({ settings, timers, random, log }: Tools, life: Life): Promise<Felix> {
  const felix = createFelix({ settings: felixSettings(settings), log: felixLog(log.child('felix')), timers, random });
  try {
    await life.start('felix', felix);
  } catch (error) {
    if (!(error instanceof FelixError)) throw error;
    throw new AgentFault(codes[error.code] ?? exitCodes.system, error.message, { cause: error });
  }
  return felix;
}

function felixSettings({ interfacePrefix, routeProtocol, routeMetric, resyncMs, mtu }: Settings): FelixSettings {
  return { interfacePrefix, routeProtocol, metric: routeMetric, resyncMs, ...(mtu === undefined ? {} : { mtu }) };
}

/** Felix logs in pino's order of arguments. */
function felixLog(log: Log): FelixLog {
  return {
    debug: (fields, message) => log.debug(message, fields),
    info: (fields, message) => log.info(message, fields),
    warn: (fields, message) => log.warn(message, fields),
    error: (fields, message) => log.error(message, fields),
  };
}
