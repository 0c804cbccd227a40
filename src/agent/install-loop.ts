// Installs the CNI files once the agent is ready, and puts them back when someone removes them.
import type { Log } from '#observe';
import { Worker, type Timers } from '#reconcile';
import { install, type InstallOptions } from './installer.ts';

export interface InstallLoop {
  start(): void;
  stop(): Promise<void>;
  readonly trigger: () => void;
  /** Why the files are not in place. */
  readonly fault: () => string | undefined;
  /** A configuration of someone else that runtimes prefer, in words. */
  readonly note: () => string | undefined;
}

const resyncMs = 30_000;

export function createInstallLoop(
  options: InstallOptions & { ready: () => boolean; timers: Timers; random: () => number; log: Log },
): InstallLoop {
  let fault: string | undefined = 'the network configuration is not installed yet';
  let foreign: string | undefined;
  const worker = new Worker({
    name: 'cni files',
    timers: options.timers,
    random: options.random,
    resyncMs,
    async run() {
      if (!options.ready()) return;
      const found = await install(options);
      if (fault !== undefined) options.log.info('CNI configuration installed', { folder: options.confDir });
      if (found !== undefined && found !== foreign) {
        options.log.warn('another CNI configuration comes first, pods will not use Manx until it is removed', {
          file: found,
          folder: options.confDir,
        });
      }
      fault = undefined;
      foreign = found;
    },
    onError(error, attempt) {
      fault = `the CNI files cannot be written: ${String(error)}`;
      if (attempt === 1) options.log.warn('CNI files cannot be written', { err: error });
    },
  });
  return {
    start: () => worker.start(),
    stop: () => worker.stop(),
    trigger: () => worker.trigger(),
    fault: () => fault,
    note: () => (foreign === undefined ? undefined : `${foreign} in ${options.confDir} is used before ours`),
  };
}
