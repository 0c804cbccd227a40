/**
 * Felix's one loop: dirty → read back → calculate → apply, in that order, one run at a time. A run does only what is
 * dirty; it reads the kernel back when something else may have changed it (monitor hint, failed command, audit), and
 * otherwise trusts what it last read and wrote. Invariants: nothing is removed before the input that would want it is in
 * sync; one refused route does not hold up the others; nothing at all is written before the node's addresses are known.
 */
import { familyOf, type Prefix } from '#net';
import { type Timers, Worker } from '#reconcile';
import { masqueradeTable } from './calc/masquerade.ts';
import { NextHopResolver } from './calc/next-hop.ts';
import { allPrefixes, type RouteInputs, type Wanted, wantedRoute } from './calc/routes.ts';
import { applyHostEnds, brokenHostEnds } from './driver/links.ts';
import { isWanted, readTable, writeTable } from './driver/nftables.ts';
import { type KernelState, readKernel } from './driver/read.ts';
import { applyRoutes, planRoutes, type RouteStep } from './driver/routes.ts';
import { applySysctls, nodeSysctls, type SysctlFiles } from './driver/sysctls.ts';
import { FelixError } from './errors.ts';
import type { Batch } from './iproute2/batch.ts';
import { type Route, sameRoute } from './iproute2/route.ts';
import type { Shell } from './iproute2/shell.ts';
import type { FelixLog, FelixSettings } from './options.ts';
import { Drift } from './drift.ts';
import type { Dirty, Tables } from './tables.ts';
import { NFT_TABLE } from './ownership.ts';

export interface LoopOptions {
  readonly settings: FelixSettings;
  readonly tables: Tables;
  readonly batch: Batch;
  readonly shell: Shell;
  readonly sysctls: SysctlFiles;
  readonly natAvailable: boolean;
  readonly log: FelixLog;
  readonly timers: Timers;
  readonly random: () => number;
}

interface Waiter {
  readonly prefixes: readonly Prefix[];
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Events come in bursts (a link going down, a peer's table): what arrives within this time is one run. */
const MIN_GAP_MS = 5;
const EMPTY: KernelState = {
  ours: new Map(),
  strays: [],
  underlay: { routes: [], addresses: new Set() },
  foreign: new Set(),
  links: [],
  neighbours: [],
};

export class Loop {
  readonly drift = new Drift();
  readonly desired = new Map<Prefix, Route>();
  /** Our routes in the kernel, as last read and written since. */
  readonly actual = new Map<Prefix, Route>();
  readonly unresolved = new Map<Prefix, string>();
  readonly conflicts = new Map<Prefix, string>();
  /** Pod interfaces that are up. */
  readonly devices = new Set<string>();
  kernel: KernelState = EMPTY;
  lastError: string | undefined;
  readonly counters = { commands: 0, readBacks: 0, failures: 0 };
  readonly #options: LoopOptions;
  readonly #worker: Worker;
  #resolver = new NextHopResolver(EMPTY.underlay);
  #mustRead = true;
  #auditDueMs = 0;
  #sysctlsSet = false;
  /** Pod interfaces plugged and unplugged since the last read-back began: what it says of them is old. */
  #since = { made: new Set<string>(), gone: new Set<string>() };
  /** Host ends are judged once by each read-back. */
  #linksSeen: KernelState = EMPTY;
  /** What was last written, and how this nft prints it. */
  #nat: { readonly wanted: string | undefined; readonly printed: string | undefined } | undefined;
  #waiters: Waiter[] = [];
  #onApplied: () => void = () => undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    const { timers, random, settings, log } = options;
    this.#worker = new Worker({
      name: 'felix',
      run: () => this.#run(),
      timers,
      random,
      resyncMs: settings.resyncMs,
      minGapMs: MIN_GAP_MS,
      onError: (error, attempt) => {
        this.counters.failures += 1;
        this.lastError = error instanceof Error ? error.message : String(error);
        log.warn({ err: error, attempt }, 'kernel not as wanted, trying again');
      },
    });
  }

  /** Reads the kernel once, so that what survived is known, and starts working · throws FelixError. */
  async start(onApplied: () => void): Promise<void> {
    this.#onApplied = onApplied;
    await this.#readBack();
    this.#worker.start();
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(new FelixError('STOPPED', 'felix was stopped'));
  }

  trigger(): void {
    this.#worker.trigger();
  }

  settled(): Promise<void> {
    return this.#worker.settled();
  }

  /** Someone else changed something: read back and repair. */
  suspect(): void {
    this.drift.suspect(this.#options.timers.now());
    this.#mustRead = true;
    this.#worker.trigger();
  }

  /** A pod interface was made or found whole: newer than any read-back under way. */
  deviceMade(device: string): void {
    this.devices.add(device);
    this.#since.made.add(device);
    this.#since.gone.delete(device);
  }

  /** The kernel took these with their device; not drift. */
  forgetDevice(device: string): void {
    this.devices.delete(device);
    this.#since.made.delete(device);
    this.#since.gone.add(device);
    for (const [prefix, route] of this.actual) {
      if (!route.nextHops.some((hop) => hop.device === device)) continue;
      this.actual.delete(prefix);
      this.#options.tables.mark([prefix]);
    }
    this.#worker.trigger();
  }

  /** Resolves when the kernel holds what is wanted for these prefixes · throws FelixError with the kernel's reason. */
  applied(prefixes: readonly Prefix[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ prefixes, resolve, reject });
      this.#worker.trigger();
    });
  }

  async #run(): Promise<void> {
    const { tables, timers, settings } = this.#options;
    if (!tables.inSync.node) return;
    const waiters = this.#waiters.splice(0);
    const audit = timers.now() >= this.#auditDueMs;
    try {
      if (this.#mustRead || audit) await this.#readBack();
      const dirty = tables.take();
      if (dirty.everything) await this.#applyHostEnds();
      const refused = await this.#applyRoutes(dirty);
      this.#settle(waiters, refused);
      const faults = [
        ...(refused.size > 0 ? [refusedError(refused)] : []),
        ...(audit ? await caught(() => this.#applySysctls()) : []),
        ...(dirty.nat || audit ? await caught(() => this.#applyNat()) : []),
      ];
      const [fault] = faults;
      if (fault !== undefined) throw fault;
      if (audit) this.#auditDueMs = timers.now() + settings.resyncMs;
      this.lastError = undefined;
    } catch (error) {
      this.#mustRead = true;
      for (const waiter of waiters) waiter.reject(asError(error));
      throw error;
    }
  }

  async #readBack(): Promise<void> {
    const { shell, settings, tables } = this.#options;
    const reading = readKernel(shell, { protocol: settings.routeProtocol, metric: settings.metric });
    const since = { made: new Set<string>(), gone: new Set<string>() };
    this.#since = since;
    this.#mustRead = false;
    this.kernel = await reading;
    const isGone = (route: Route) => route.nextHops.some((hop) => since.gone.has(hop.device));
    const ours = new Map([...this.kernel.ours].filter(([, route]) => !isGone(route)));
    if (this.counters.readBacks > 0) this.drift.compare(this.actual, ours, this.desired);
    this.counters.readBacks += 1;
    this.actual.clear();
    for (const [prefix, route] of ours) this.actual.set(prefix, route);
    this.#resolver = new NextHopResolver(this.kernel.underlay);
    const up = this.kernel.links.filter((link) => link.up && !since.gone.has(link.name)).map((link) => link.name);
    this.devices.clear();
    for (const name of [...up, ...since.made]) this.devices.add(name);
    tables.markEverything();
  }

  /** Host ends that someone set down or whose neighbours someone flushed; their routes come back in the same run. */
  async #applyHostEnds(): Promise<void> {
    const { tables, batch, log } = this.#options;
    if (this.kernel === this.#linksSeen) return;
    this.#linksSeen = this.kernel;
    const { made, gone } = this.#since;
    const old = [...tables.workloads.values()].filter(({ hostInterface: name }) => !made.has(name) && !gone.has(name));
    const broken = brokenHostEnds(old, this.kernel.links, this.kernel.neighbours);
    if (broken.length === 0) return;
    const refused = await applyHostEnds(batch, broken);
    for (const { hostInterface } of broken) {
      const reason = refused.get(hostInterface);
      if (reason === undefined) {
        this.devices.add(hostInterface);
        this.#bookRepair('links', `interface ${hostInterface}`);
      } else log.warn({ interface: hostInterface, reason }, 'pod interface could not be put right');
    }
  }

  async #applyRoutes(dirty: Dirty): Promise<ReadonlyMap<Prefix, string>> {
    const inputs = this.#inputs();
    const concerned = dirty.everything
      ? new Set([...allPrefixes(inputs), ...this.actual.keys(), ...this.desired.keys()])
      : dirty.prefixes;
    for (const prefix of concerned) this.#want(prefix, wantedRoute(prefix, inputs));
    const plan = planRoutes({
      desired: pick(this.desired, concerned),
      actual: pick(this.actual, concerned),
      foreign: this.kernel.foreign,
      strays: dirty.everything ? this.kernel.strays : [],
      mayRemove: (route) => this.#mayRemove(route),
    });
    for (const prefix of concerned) this.conflicts.delete(prefix);
    for (const prefix of plan.blocked)
      this.conflicts.set(prefix, 'a route of another owner has this prefix and metric');
    const refused = await applyRoutes(this.#options.batch, plan.steps);
    this.counters.commands += plan.steps.length;
    for (const step of plan.steps) if (!refused.has(step.prefix)) this.#did(step);
    return refused;
  }

  #did({ prefix, after, isStray }: RouteStep): void {
    if (isStray) return;
    if (after === undefined) this.actual.delete(prefix);
    else this.actual.set(prefix, after);
  }

  #inputs(): RouteInputs {
    const { tables, settings } = this.#options;
    return {
      node: tables.node,
      blocks: tables.blocks,
      learned: tables.learned,
      workloads: tables.workloadPrefixes(),
      resolver: this.#resolver,
      devices: this.devices,
      protocol: settings.routeProtocol,
      metric: settings.metric,
    };
  }

  #want(prefix: Prefix, wanted: Wanted): void {
    this.desired.delete(prefix);
    this.unresolved.delete(prefix);
    if (wanted === undefined) return;
    if ('route' in wanted) this.desired.set(prefix, wanted.route);
    else this.unresolved.set(prefix, wanted.reason);
  }

  /** A route of ours may go once the input that could still want it has said everything. */
  #mayRemove(route: Route): boolean {
    const { inSync, released } = this.#options.tables;
    if (route.type === 'blackhole') return inSync.blocks;
    if (route.nextHops.some((hop) => released.has(hop.device))) return true;
    const toPod = route.nextHops.every((hop) => hop.device.startsWith(this.#options.settings.interfacePrefix));
    return toPod && route.nextHops[0]?.gateway === undefined ? inSync.workloads : inSync.learned;
  }

  async #applySysctls(): Promise<void> {
    const { node } = this.#options.tables;
    const families = { ipv4: node.some((ip) => familyOf(ip) === 4), ipv6: node.some((ip) => familyOf(ip) === 6) };
    const changed = await applySysctls(this.#options.sysctls, nodeSysctls(families, this.kernel.underlay.routes));
    for (const sysctl of changed) {
      this.#options.log.info({ sysctl: sysctl.path, value: sysctl.value }, 'sysctl set');
      if (this.#sysctlsSet) this.#bookRepair('sysctls', `sysctl ${sysctl.path}`);
    }
    this.#sysctlsSet = true;
  }

  async #applyNat(): Promise<void> {
    const { tables, shell, natAvailable, log } = this.#options;
    if (!natAvailable) return;
    const wanted = masqueradeTable(tables.pools, NFT_TABLE);
    const actual = await readTable(shell, NFT_TABLE);
    const known = this.#nat !== undefined && this.#nat.wanted === wanted;
    if (isWanted(actual, wanted, known ? this.#nat?.printed : undefined)) return;
    // A table of ours that nobody asks for stays until the pools are known.
    if (!tables.inSync.pools && (wanted === undefined || actual !== undefined)) return;
    await writeTable(shell, NFT_TABLE, wanted);
    this.#nat = { wanted, printed: await readTable(shell, NFT_TABLE) };
    log.info({ table: NFT_TABLE, pools: tables.pools.length }, 'nft table written');
    if (known) this.#bookRepair('nat', `nft table ${NFT_TABLE}`);
  }

  #bookRepair(kind: 'links' | 'nat' | 'sysctls', what: string): void {
    this.drift.counts[kind] += 1;
    this.drift.repaired(what, this.#options.timers.now());
  }

  /** Books repairs, then tells those who wait, then everybody. */
  #settle(waiters: readonly Waiter[], refused: ReadonlyMap<Prefix, string>): void {
    const repair = this.drift.settle(this.#options.timers.now(), (prefix) => this.#isRight(prefix));
    if (repair !== undefined) this.#options.log.info({ what: repair.what, tookMs: repair.tookMs }, 'kernel repaired');
    for (const { prefixes, resolve, reject } of waiters) {
      const wrong = prefixes.find((prefix) => !this.#isRight(prefix) || this.unresolved.has(prefix));
      if (wrong === undefined) resolve();
      else {
        const reason = refused.get(wrong) ?? this.conflicts.get(wrong) ?? this.unresolved.get(wrong) ?? 'unknown';
        reject(new FelixError('KERNEL_REFUSED', `route ${wrong} is not in the kernel: ${reason}`));
      }
    }
    this.#onApplied();
  }

  #isRight(prefix: Prefix): boolean {
    const wanted = this.desired.get(prefix);
    const actual = this.actual.get(prefix);
    return wanted === undefined ? actual === undefined : actual !== undefined && sameRoute(actual, wanted);
  }
}

function pick(routes: ReadonlyMap<Prefix, Route>, prefixes: ReadonlySet<Prefix>): ReadonlyMap<Prefix, Route> {
  const picked = new Map<Prefix, Route>();
  for (const prefix of prefixes) {
    const route = routes.get(prefix);
    if (route !== undefined) picked.set(prefix, route);
  }
  return picked;
}

function refusedError(refused: ReadonlyMap<Prefix, string>): FelixError {
  const [first] = refused;
  const more = refused.size > 1 ? ` and ${refused.size - 1} more` : '';
  return new FelixError('KERNEL_REFUSED', `route ${first?.[0]}${more} refused: ${first?.[1]}`);
}

async function caught(work: () => Promise<void>): Promise<readonly Error[]> {
  try {
    await work();
    return [];
  } catch (error) {
    return [asError(error)];
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
