// What a scraper, a probe and a log reader see.
import { deepEqual, equal, match } from 'node:assert/strict';
import { test } from 'node:test';
import {
  createHealth,
  createLog,
  createMetrics,
  createObserveServer,
  formatChecks,
  formatError,
  formatMetrics,
  metricTable,
} from './index.ts';

test('a log line is one JSON object with level, component, message and fields', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', base: { node: 'a' }, sink: { write: (line) => void lines.push(line) } });
  log
    .child('felix')
    .warn('route refused', { prefix: '10.64.0.0/26', err: new Error('no', { cause: new Error('why') }) });
  log.debug('not shown');
  equal(lines.length, 1);
  const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  equal(line['level'], 'warn');
  equal(line['node'], 'a');
  equal(line['component'], 'felix');
  equal(line['message'], 'route refused');
  equal(line['prefix'], '10.64.0.0/26');
});

test('an error in words carries its causes', () => {
  equal(formatError(new Error('cannot list', { cause: new Error('refused') })), 'cannot list: refused');
  equal(formatError('text'), 'text');
});

test('gauges are read at scrape, equal labels are summed, and vanished series are gone', async () => {
  const metrics = createMetrics();
  let peers = ['mesh', 'mesh', 'tor1'];
  metrics.collect('manx_bgp_session_up', () => peers.map((peer) => ({ labels: { peer }, value: 1 })));
  match(await metrics.text(), /manx_bgp_session_up\{peer="mesh"\} 2\nmanx_bgp_session_up\{peer="tor1"\} 1/);
  peers = ['mesh'];
  const text = await metrics.text();
  match(text, /manx_bgp_session_up\{peer="mesh"\} 1/);
  equal(text.includes('tor1'), false);
});

test('counters keep counting and histograms keep observing', async () => {
  const metrics = createMetrics();
  metrics.count('manx_cni_requests_total', { command: 'ADD', result: 'ok' });
  metrics.count('manx_cni_requests_total', { command: 'ADD', result: 'ok' });
  metrics.observe('manx_cni_request_seconds', { command: 'ADD' }, 0.02);
  const text = await metrics.text();
  match(text, /manx_cni_requests_total\{command="ADD",result="ok"\} 2/);
  match(text, /manx_cni_request_seconds_count\{command="ADD"\} 1/);
});

test('every metric follows the naming rules and is in the reference page', () => {
  const page = formatMetrics();
  for (const [name, spec] of Object.entries(metricTable)) {
    match(name, /^manx_[a-z_]+$/);
    equal(name.endsWith('_total'), spec.kind === 'counter', name);
    match(spec.help, /\.$/);
    equal(page.includes(`\`${name}\``), true);
  }
});

test('a check fails until its owner claims it', () => {
  const health = createHealth(['api', 'bgp']);
  health.claim('api', () => undefined);
  deepEqual(health.faults(), [{ name: 'bgp', fault: 'not started yet' }]);
  equal(formatChecks(health.checks()), '[+]api ok\n[-]bgp failed: not started yet\nreadyz check failed\n');
  health.claim('bgp', () => undefined);
  equal(formatChecks(health.checks()), '[+]api ok\n[+]bgp ok\nreadyz check passed\n');
});

test('the server answers probes, scrapes and state on loopback', async () => {
  const health = createHealth(['api']);
  const port = 20000 + (process.pid % 20000);
  const server = createObserveServer({
    host: '127.0.0.1',
    port,
    metrics: createMetrics(),
    health,
    state: () => ({ a: 1 }),
  });
  await server.start();
  try {
    const get = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: response.status, text: await response.text() };
    };
    deepEqual(await get('/healthz'), { status: 200, text: 'ok\n' });
    equal((await get('/readyz')).status, 503);
    health.claim('api', () => undefined);
    deepEqual(await get('/readyz'), { status: 200, text: 'ok\n' });
    match((await get('/readyz?verbose')).text, /\[\+\]api ok/);
    match((await get('/metrics')).text, /manx_process_cpu_seconds_total/);
    deepEqual(JSON.parse((await get('/debug/state')).text), { a: 1 });
  } finally {
    await server.stop();
  }
});
