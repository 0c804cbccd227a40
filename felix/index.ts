/** Felix: what this node's kernel should hold, and getting there. The only door of this folder. */
export { createFelix } from './felix.ts';
export type { Felix } from './felix.ts';
export type { FelixLog, FelixOptions, FelixSettings } from './options.ts';
export type { FelixStatus, Repair, RouteFault } from './status.ts';
export { FelixError } from './errors.ts';
export type { FelixErrorCode } from './errors.ts';
export { defaultFelixSettings } from './ownership.ts';
export { hostInterfaceName } from './workload/name.ts';
export type { LearnedBatch, LearnedRoute, NodeInput, PoolInput, Workload, WorkloadKey } from './inputs.ts';
export type {
  NexthopStep,
  Refusals,
  RouteBackend,
  RouteChanges,
  RouteOwnership,
  RouteReading,
  RouteStep,
} from './driver/route-backend.ts';
export type { NexthopObject } from './calc/nexthop-groups.ts';
export type { NextHop, Route } from './iproute2/route.ts';
