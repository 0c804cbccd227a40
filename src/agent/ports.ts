// Small adapters between the parts' own words and the agent's: options from settings, log shapes, and which error ends the
// program with which code.
import { SpeakerError, type SpeakerConfig, type SpeakerLog } from '#bgp';
import { FelixError, type FelixLog, type FelixSettings } from '#felix';
import type { IpamSettings } from '#ipam';
import type { Log } from '#observe';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterView } from './cluster-view.ts';
import { AgentFault, exitCodes } from './exit.ts';
import { addressList, type Identity } from './identity.ts';
import type { Settings } from './settings.ts';

/** Throws AgentFault 77 unless the process runs as root. */
export function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new AgentFault(
    exitCodes.permission,
    'the agent changes routes and interfaces and must run as root (CAP_NET_ADMIN)',
  );
}

export function felixSettings({ interfacePrefix, routeProtocol, routeMetric, resyncMs, mtu }: Settings): FelixSettings {
  return { interfacePrefix, routeProtocol, metric: routeMetric, resyncMs, ...(mtu === undefined ? {} : { mtu }) };
}

/** Felix logs in pino's order of arguments. */
export function felixLog(log: Log): FelixLog {
  return {
    debug: (fields, message) => log.debug(message, fields),
    info: (fields, message) => log.info(message, fields),
    warn: (fields, message) => log.warn(message, fields),
    error: (fields, message) => log.error(message, fields),
  };
}

export function speakerLog(log: Log): SpeakerLog {
  return log;
}

/** `restarting`: our routes survived in the kernel, so peers may keep theirs to us (RFC 4724). */
export function speakerConfig(settings: Settings, identity: Identity, restarting: boolean): SpeakerConfig {
  const addresses = addressList(identity.addresses);
  return {
    as: identity.as,
    routerId: identity.routerId,
    listen: addresses.map((address) => ({ address, port: identity.listenPort })),
    gracefulRestart: { restartTimeSec: Math.ceil(settings.restartTimeMs / 1000), restarting },
    addresses,
  };
}

export function ipamSettings(view: ClusterView | undefined): Partial<IpamSettings> {
  if (view === undefined) return {};
  const { strictAffinity, maxBlocksPerHost, cooldownSec } = view.ipam;
  return { strictAffinity, maxBlocksPerNode: maxBlocksPerHost, cooldownSeconds: cooldownSec };
}

/** Waits; rejects when the signal fires. */
export async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  await delay(delayMs, undefined, { signal });
}

const felixCodes: Readonly<Partial<Record<FelixError['code'], number>>> = {
  NOT_ROOT: exitCodes.permission,
  PROGRAM_MISSING: exitCodes.missing,
  KERNEL_FEATURE: exitCodes.missing,
  INVALID: exitCodes.config,
};

/** Starts Felix; what it misses becomes the exit code for it. */
export async function startFelix(start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    if (!(error instanceof FelixError)) throw error;
    throw new AgentFault(felixCodes[error.code] ?? exitCodes.system, error.message, { cause: error });
  }
}

/** Starts the speaker; a port that is taken ends with 71. */
export async function startSpeaker<T>(start: () => Promise<T>): Promise<T> {
  try {
    return await start();
  } catch (error) {
    if (!(error instanceof SpeakerError)) throw error;
    const hint = 'another BGP daemon may hold it: stop that one, or set listenPort of the BGPConfiguration';
    throw new AgentFault(exitCodes.system, `${error.message}; ${hint}`, { cause: error });
  }
}
