// The agent's HTTP face, up before everything else, so that /readyz can say why the rest is not.
import { createHealth, createMetrics, createObserveServer, type Health, type Metrics } from '#observe';
import { exitCodes, type Part, ProgramFault } from '#program';
import { checkNames } from './diagnosis.ts';
import type { Settings } from './settings.ts';

export interface Face extends Part {
  readonly metrics: Metrics;
  readonly health: Health;
  /** From now on /debug/state says this. */
  show(state: () => unknown): void;
}

export function createFace({ metricsAddress }: Settings): Face {
  const metrics = createMetrics();
  const health = createHealth(checkNames);
  let state: () => unknown = () => ({ checks: health.checks() });
  const server = createObserveServer({ ...metricsAddress, metrics, health, state: () => state() });
  return {
    metrics,
    health,
    show(next) {
      state = next;
    },
    async start() {
      try {
        await server.start();
      } catch (error) {
        const { host, port } = metricsAddress;
        const what = `cannot listen on ${host}:${port}; stop what holds it or set MANX_METRICS_ADDRESS`;
        throw new ProgramFault(exitCodes.system, what, { cause: error });
      }
    },
    stop: () => server.stop(),
  };
}
