/**
 * Felix's interface to the programs.
 */
import type { Ip, Prefix } from '#net';
import type { Timers } from '#reconcile';
import type { LearnedBatch, LearnedRoute, NodeInput, PoolInput, Workload, WorkloadKey } from './inputs.ts';
import type { FelixStatus } from './status.ts';

/** Numbers and names Felix owns its kernel objects by; start from `defaultFelixSettings`. */
export interface FelixSettings {
  readonly interfacePrefix: string;
  readonly routeProtocol: number;
  readonly metric: number;
  /** Bytes, for pod interfaces; absent means the MTU of the interface that holds the node's address. */
  readonly mtu?: number;
  /** Longest time between two full audits of the kernel. */
  readonly resyncMs: number;
}

/** A structured logger: pino's is one. */
export interface FelixLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface FelixOptions {
  readonly settings: FelixSettings;
  readonly log: FelixLog;
  readonly timers: Timers;
  readonly random: () => number;
}

/** The keeper of this node's kernel. Setters are cheap, keep the last value and mark work to do; nothing they do throws. */
export interface Felix {
  /** Starts the child processes and reads what is there · throws FelixError NOT_ROOT, PROGRAM_MISSING, KERNEL_FEATURE. */
  start(): Promise<void>;
  /** Stops working; the kernel keeps everything. */
  stop(): Promise<void>;
  /** The node's own addresses; nothing is written before this was called once. */
  setNode(node: NodeInput): void;
  /** Own confirmed blocks: each gets a blackhole route. */
  setBlocks(blocks: readonly Prefix[], inSync: boolean): void;
  /** Replaces all learned routes. */
  setLearned(routes: readonly LearnedRoute[], inSync: boolean): void;
  /** Applies changes to the learned routes; a route with no next hops is gone. */
  applyLearned(batch: LearnedBatch): void;
  setPools(pools: readonly PoolInput[], inSync: boolean): void;
  /** Replaces the table of wired workloads (after a restart: what the agent remembers). Wires nothing by itself. */
  setWorkloads(workloads: readonly Workload[], inSync: boolean): void;
  /** Wires one pod interface; idempotent; resolves when pod side and host routes are in the kernel · throws FelixError. */
  plug(workload: Workload): Promise<void>;
  /** Removes one pod interface with its routes; absence is success. */
  unplug(key: WorkloadKey): Promise<void>;
  /** What is wrong with a wired workload, in words; empty means nothing. */
  check(workload: Workload): Promise<readonly string[]>;
  /** Host ends of pod interfaces present in the kernel that carry our mark, known or not: for garbage collection. */
  interfaces(): Promise<readonly string[]>;
  /** Removes a host end by name, for garbage collection; refuses a name that is not ours. */
  removeInterface(hostInterface: string): Promise<void>;
  /** Own blocks whose blackhole is in the kernel: these may be advertised. */
  programmedBlocks(): readonly Prefix[];
  /** Called after a change of `programmedBlocks()`; returns how to stop listening. */
  onProgrammed(listener: (blocks: readonly Prefix[]) => void): () => void;
  /** Whether `start()` found routes of ours: the kernel state survived the last agent (RFC 4724 forwarding bit). */
  hasOwnState(): boolean;
  /** Resolves when no work is pending and the kernel holds what it should, or the last attempt failed. */
  settled(): Promise<void>;
  status(): FelixStatus;
}

/** Builds Felix for the network namespace this process lives in; does nothing until `start()`. */
export declare function createFelix(options: FelixOptions): Felix;
