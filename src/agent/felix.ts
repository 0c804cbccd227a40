// Felix as a part of the agent: settings, log shape, and which of its errors ends the agent with which code.
import {
  createFelix,
  type Felix,
  FelixError,
  type FelixLog,
  type FelixSettings,
  type RouteBackend,
  type RouteOwnership,
} from '#felix';
import { openNetlinkBackend } from '#libc';
import type { Log } from '#observe';
import { exitCodes, ProgramFault } from '#program';
import type { Settings } from './settings.ts';
import type { AgentLife, Tools } from './tools.ts';

const codes: Readonly<Partial<Record<FelixError['code'], number>>> = {
  NOT_ROOT: exitCodes.permission,
  PROGRAM_MISSING: exitCodes.missing,
  KERNEL_FEATURE: exitCodes.missing,
  INVALID: exitCodes.config,
};

/** Starts Felix; rejects with ProgramFault naming what it misses. */
export async function startFelix({ settings, timers, random, log }: Tools, life: AgentLife): Promise<Felix> {
  const felixLogger = log.child('felix');
  const felix = createFelix({
    settings: felixSettings(settings),
    log: felixLog(felixLogger),
    timers,
    random,
    routeBackend: (ownership) => openRouteBackend(settings, ownership, felixLogger),
  });
  try {
    await life.start('felix', felix);
  } catch (error) {
    if (!(error instanceof FelixError)) throw error;
    throw new ProgramFault(codes[error.code] ?? exitCodes.system, error.message, { cause: error });
  }
  return felix;
}

/** Netlink where it is wanted and to be had; undefined leaves Felix to iproute2. */
async function openRouteBackend(
  { routeBackend }: Settings,
  ownership: RouteOwnership,
  log: Log,
): Promise<RouteBackend | undefined> {
  if (routeBackend === 'iproute2') return undefined;
  const opened = await openNetlinkBackend(ownership);
  if (!('reason' in opened)) return opened;
  if (routeBackend === 'netlink') {
    throw new FelixError('KERNEL_FEATURE', `MANX_ROUTE_BACKEND is netlink, which is not to be had: ${opened.reason}`);
  }
  log.info('routes go through iproute2', { reason: opened.reason });
  return undefined;
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
