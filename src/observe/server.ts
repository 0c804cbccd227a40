// The HTTP face of a program: /metrics, /healthz, /readyz (?verbose lists each check), /debug/state (loopback only).
//
// /healthz says that the loop turns and nothing else: a liveness probe must never kill an agent for what its peers or the
// API server do. /readyz answers 503 while any check has a fault.
import { fastify, type FastifyInstance } from 'fastify';
import { formatChecks, type Health } from './health.ts';
import type { Metrics } from './metrics.ts';

export interface ObserveOptions {
  readonly host: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly health: Health;
  /** The whole state for people, JSON-able, or a promise of it. */
  readonly state: () => unknown;
}

export interface ObserveServer {
  /** Rejects with the listen error (EADDRINUSE) named by address. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const loopback = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

export function createObserveServer(options: ObserveOptions): ObserveServer {
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 1024 });
  addRoutes(app, options);
  return {
    async start() {
      try {
        await app.listen({ host: options.host, port: options.port });
      } catch (error) {
        throw new Error(`cannot listen for metrics on ${options.host}:${options.port}`, { cause: error });
      }
    },
    stop: () => app.close(),
  };
}

function addRoutes(app: FastifyInstance, { metrics, health, state }: ObserveOptions): void {
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  app.get('/healthz', (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', (request, reply) => {
    const checks = health.checks();
    const ready = checks.every((check) => check.fault === undefined);
    const verbose = Object.hasOwn(request.query as object, 'verbose');
    const text = verbose || !ready ? formatChecks(checks) : 'ok\n';
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain')
      .send(text);
  });
  app.get('/debug/state', async (request, reply) => {
    if (!loopback.has(request.ip)) return reply.code(403).type('text/plain').send('only from this machine\n');
    return reply.type('application/json').send(JSON.stringify(await state(), undefined, 2));
  });
}
