/**
 * Felix's one loop: dirty → read back → calculate → apply, in that order, one run at a time. A run does only what is
 * dirty; it reads the kernel back when something else may have changed it (monitor hint, failed command, audit), and
 * otherwise trusts what it last read and wrote. Invariants: nothing is removed before the input that would want it is in
 * sync; one refused route does not hold up the others; nothing at all is written before the node's addresses are known.
 */
import { familyOf, type Prefix } from '#net';
import { type Timers, Worker } from '#reconcile';
import { masqueradeTable } from './calc/masquerade.ts';
import { applyHostEnds, brokenHostEnds } from './driver/links.ts';
import { isWanted, readTable, writeTable } from './driver/nftables.ts';
import { joinState, type KernelState, readLinks } from './driver/read.ts';
import type { RouteBackend, RouteChanges } from './driver/route-backend.ts';
import { applySysctls, nodeSysctls, type SysctlFiles } from './driver/sysctls.ts';
import { FelixError } from './errors.ts';
import type { Batch } from './iproute2/batch.ts';
import type { Route } from './iproute2/route.ts';
import type { Shell } from './iproute2/shell.ts';
import type { FelixLog, FelixSettings } from './options.ts';
import { Drift } from './drift.ts';
import { EMPTY_KERNEL, RouteKeeper } from './route-keeper.ts';
import type { Tables } from './tables.ts';
import { NFT_TABLE } from './ownership.ts';

export interface LoopOptions {
  readonly settings: FelixSettings;
  readonly tables: Tables;
  readonly batch: Batch;
  readonly shell: Shell;
  readonly backend: RouteBackend;
  /** Whether learned routes point at nexthop objects. */
  readonly nexthops: boolean;
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
/** More prefixes under suspicion than this are read back with everything else. */
const MAX_SUSPECTS = 256;

export class Loop {
  readonly drift = new Drift();
  readonly routes: RouteKeeper;
  kernel: KernelState = EMPTY_KERNEL;
  lastError: string | undefined;
  readonly #counters = { readBacks: 0, failures: 0 };
  readonly #options: LoopOptions;
  readonly #worker: Worker;
  #mustRead = true;
  /** What was written last is not known: all of ours is read, not only what changed. */
  #isLost = true;
  #suspects = new Set<Prefix>();
  #auditDueMs = 0;
  #sysctlsSet = false;
  /** Pod interfaces plugged and unplugged since the last read-back began: what it says of them is old. */
  #since = { made: new Set<string>(), gone: new Set<string>() };
  /** Host ends are judged once by each read-back. */
  #linksSeen: KernelState = EMPTY_KERNEL;
  /** What was last written, and how this nft prints it. */
  #nat: { readonly wanted: string | undefined; readonly printed: string | undefined } | undefined;
  #waiters: Waiter[] = [];
  #onApplied: () => void = () => undefined;

  constructor(options: LoopOptions) {
    this.#options = options;
    const { timers, random, settings, log, tables, backend, nexthops } = options;
    this.routes = new RouteKeeper({ settings, tables, backend, nexthops, timers });
    this.#worker = new Worker({
      name: 'felix',
      run: () => this.#run(),
      timers,
      random,
      resyncMs: settings.resyncMs,
      minGapMs: MIN_GAP_MS,
      onError: (error, attempt) => {
        this.#counters.failures += 1;
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

  /** Someone else changed one route of ours: look at that one. */
  suspectRoute(prefix: Prefix): void {
    this.drift.suspect(this.#options.timers.now());
    if (this.#suspects.size < MAX_SUSPECTS) this.#suspects.add(prefix);
    else this.#mustRead = true;
    this.#worker.trigger();
  }

  get counters(): { readonly commands: number; readonly readBacks: number; readonly failures: number } {
    return { commands: this.routes.commands, ...this.#counters };
  }

  /** A pod interface was made or found whole: newer than any read-back under way. */
  deviceMade(device: string): void {
    this.routes.devices.add(device);
    this.#since.made.add(device);
    this.#since.gone.delete(device);
  }

  /** The kernel took these with their device; not drift. */
  forgetDevice(device: string): void {
    this.#since.made.delete(device);
    this.#since.gone.add(device);
    this.routes.forgetDevice(device);
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
      else if (this.#suspects.size > 0) await this.#recheck();
      const dirty = tables.take();
      await this.#applyHostEnds();
      const refused = await this.routes.apply(dirty);
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
      this.#isLost = !(error instanceof FelixError && error.code === 'KERNEL_REFUSED');
      tables.markEverything();
      for (const waiter of waiters) waiter.reject(asError(error));
      throw error;
    }
  }

  async #readBack(): Promise<void> {
    const { shell, backend } = this.#options;
    const isFresh = this.#isLost;
    const since = { made: new Set<string>(), gone: new Set<string>() };
    this.#since = since;
    this.#mustRead = false;
    this.#suspects = new Set();
    const [links, reading] = await Promise.all([
      readLinks(shell),
      backend.read(isFresh ? undefined : this.routes.actual),
    ]);
    this.#isLost = false;
    this.kernel = joinState(links, reading);
    const up = links.links.filter((link) => link.up && !since.gone.has(link.name)).map((link) => link.name);
    const { devices } = this.routes;
    devices.clear();
    for (const name of [...up, ...since.made]) devices.add(name);
    const changes = new Map(reading.changes);
    if (isFresh) {
      for (const prefix of this.routes.actual.keys()) if (!changes.has(prefix)) changes.set(prefix, undefined);
    }
    this.#takeChanges(changes);
    this.routes.take(this.kernel, changes);
    if (isFresh) this.#options.tables.markEverything();
    this.#counters.readBacks += 1;
  }

  /** Looks at the routes that events spoke of, and at no other. */
  async #recheck(): Promise<void> {
    const prefixes = [...this.#suspects];
    this.#suspects = new Set();
    const changes = new Map(await this.#options.backend.recheck(prefixes));
    this.#takeChanges(changes);
    this.routes.takeChanges(changes);
  }

  /** Books drift; what a reading says of an interface unplugged meanwhile is old and taken out of it. */
  #takeChanges(changes: Map<Prefix, Route | undefined> & RouteChanges): void {
    for (const [prefix, route] of changes) {
      if (route?.nextHops.some((hop) => this.#since.gone.has(hop.device)) !== true) continue;
      changes.delete(prefix);
      this.#suspects.add(prefix);
    }
    if (this.#counters.readBacks > 0) this.drift.compare(this.routes.actual, changes, this.routes.desired);
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
        this.routes.devices.add(hostInterface);
        this.#bookRepair('links', `interface ${hostInterface}`);
      } else log.warn({ interface: hostInterface, reason }, 'pod interface could not be put right');
    }
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
    const repair = this.drift.settle(this.#options.timers.now(), (prefix) => this.routes.isRight(prefix));
    if (repair !== undefined) this.#options.log.info({ what: repair.what, tookMs: repair.tookMs }, 'kernel repaired');
    const { conflicts, unresolved } = this.routes;
    for (const { prefixes, resolve, reject } of waiters) {
      const wrong = prefixes.find((prefix) => !this.routes.isRight(prefix) || unresolved.has(prefix));
      if (wrong === undefined) resolve();
      else {
        const reason = refused.get(wrong) ?? conflicts.get(wrong) ?? unresolved.get(wrong) ?? 'unknown';
        reject(new FelixError('KERNEL_REFUSED', `route ${wrong} is not in the kernel: ${reason}`));
      }
    }
    this.#onApplied();
  }
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
