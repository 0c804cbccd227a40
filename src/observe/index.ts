// Being seen: logs, metrics, health and the real timers of a process.
export { createHealth, formatChecks, type Check, type Health } from './health.ts';
export { createLog, formatError, logLevels, type Log, type LogFields, type LogLevel } from './log.ts';
export {
  metricTable,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type Labels,
  type MetricName,
} from './metric-table.ts';
export { createMetrics, formatMetrics, type Metrics, type Sample } from './metrics.ts';
export { createObserveServer, type ObserveOptions, type ObserveServer } from './server.ts';
export { systemTimers } from './timers.ts';
