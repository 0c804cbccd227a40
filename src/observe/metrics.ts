// The metric registry of one process (prom-client behind the closed table).
//
// Gauges are read from their owner at scrape, never maintained: `collect(name, read)`. A counter whose truth lives in an
// owner's state (flaps, drift) is collected the same way; others are counted here. No series outlives what it describes.
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import {
  metricTable,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type Labels,
  type MetricName,
  type MetricSpec,
} from './metric-table.ts';

export interface Sample<N extends MetricName> {
  readonly labels: Labels<N>;
  readonly value: number;
}

type Awaitable<T> = T | Promise<T>;

export interface Metrics {
  /** Series of `name` come from `read` at each scrape; samples with equal labels are summed. */
  collect<N extends GaugeName | CounterName>(name: N, read: () => Awaitable<Iterable<Sample<N>>>): void;
  count<N extends CounterName>(name: N, labels: Labels<N>, by?: number): void;
  observe<N extends HistogramName>(name: N, labels: Labels<N>, value: number): void;
  text(): Promise<string>;
  readonly contentType: string;
}

type Metric = Gauge | Counter | Histogram;
type Samples = Iterable<{ labels: Readonly<Record<string, string>>; value: number }>;

export function createMetrics(): Metrics {
  const registry = new Registry();
  const readers = new Map<MetricName, () => Awaitable<Samples>>();
  collectDefaultMetrics({ register: registry, prefix: 'manx_' });
  const metrics = new Map<MetricName, Metric>();
  for (const [name, spec] of Object.entries(metricTable) as [MetricName, MetricSpec][]) {
    metrics.set(
      name,
      build(name, spec, registry, () => readers.get(name)?.()),
    );
  }
  return {
    collect(name, read) {
      readers.set(name, read);
    },
    count(name, labels, by = 1) {
      const metric = metrics.get(name);
      if (metric instanceof Counter) metric.inc(labels, by);
    },
    observe(name, labels, value) {
      const metric = metrics.get(name);
      if (metric instanceof Histogram) metric.observe(labels, value);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function build(name: string, spec: MetricSpec, registry: Registry, read: () => Awaitable<Samples> | undefined): Metric {
  const common = { name, help: spec.help, labelNames: spec.labels, registers: [registry] };
  if (spec.kind === 'histogram') return new Histogram({ ...common, buckets: [...(spec.buckets ?? [])] });
  const collect = async function (this: Gauge | Counter): Promise<void> {
    const samples = await read();
    if (samples === undefined) return;
    this.reset();
    for (const { labels, value } of samples) this.inc(labels, value);
  };
  return spec.kind === 'gauge' ? new Gauge({ ...common, collect }) : new Counter({ ...common, collect });
}

/** The page docs/reference/metrics.md: one row per metric, in the table's order. */
export function formatMetrics(): string {
  const rows = (Object.entries(metricTable) as [string, MetricSpec][]).map(
    ([name, spec]) =>
      `| \`${name}\` | ${spec.kind} | ${spec.labels.map((l) => `\`${l}\``).join(', ') || '–'} | ${spec.help} |`,
  );
  return [
    '# Metrics',
    '',
    'Generated from src/observe/metric-table.ts.',
    '',
    '| name | type | labels | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
