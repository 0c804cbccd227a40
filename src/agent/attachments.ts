// The five CNI verbs on this node: addresses from IPAM, wiring by Felix, a record on disk.
//
//   ADD  assign, bare pair meanwhile → plug, record meanwhile → (a new block: the BGP speaker has it)    failure undoes it
//   DEL  unplug → release → forget                                                     absence is success at each step
//
// Verbs on one pod interface run one after the other; different interfaces run together. The handle in IPAM is the
// container and interface name, so a DEL finds everything even when no record was ever written.
import {
  CniError,
  cniErrors,
  type AddRequest,
  type AddResult,
  type Attachment,
  type CheckRequest,
  type CniHandler,
  type GcRequest,
} from '#cni-protocol';
import { FelixError, hostInterfaceName, type Felix, type Workload } from '#felix';
import { isIpamError, type Allocator, type IpamError } from '#ipam';
import { familyOf, type Family, type Ip, type Prefix } from '#net';
import type { Log } from '#observe';
import type { AddressRequest } from './pod-request.ts';
import { handleOf, type Workloads } from './workloads.ts';

export interface AttachmentsOptions {
  readonly felix: Felix;
  readonly allocator: Allocator;
  readonly workloads: Workloads;
  readonly interfacePrefix: string;
  readonly mtu: number | undefined;
  /** What the pod asks of IPAM: families, and maybe addresses and pools by name. Rejects with IpamError. */
  readonly request: (request: AddRequest, signal: AbortSignal) => Promise<AddressRequest>;
  /** Why ADD cannot be served now, undefined when it can. */
  readonly fault: () => string | undefined;
  /** Resolves when `blocks` were handed to the speaker, or after a bounded wait. */
  readonly advertised: (blocks: readonly Prefix[]) => Promise<void>;
  readonly log: Log;
}

const exhausted = 100;
const different = 101;
/** The pod asks by name for an address or a pool that cannot be had. */
const refused = 102;
const operationTimeoutMs = 25_000;
const hostMac = 'ee:ee:ee:ee:ee:ee';
const defaultRoutes: Readonly<Record<Family, { destination: string; gateway: string }>> = {
  4: { destination: '0.0.0.0/0', gateway: '169.254.1.1' },
  6: { destination: '::/0', gateway: 'fe80::ecee:eeff:feee:eeee' },
};

/** Verbs on one pod interface in the order they came; `inHand` are those not yet answered. */
class Turns {
  readonly #last = new Map<string, { readonly key: Attachment; readonly done: Promise<void> }>();

  get inHand(): readonly Attachment[] {
    return [...this.#last.values()].map(({ key }) => key);
  }

  /** Runs `work` after everything that was asked before for the same interface. */
  run<T>(key: Attachment, work: () => Promise<T>): Promise<T> {
    const handle = handleOf(key);
    const turn = (this.#last.get(handle)?.done ?? Promise.resolve()).then(work);
    const done: Promise<void> = turn.then(
      () => this.#end(handle, done),
      () => this.#end(handle, done),
    );
    this.#last.set(handle, { key, done });
    return turn;
  }

  #end(handle: string, done: Promise<void>): void {
    if (this.#last.get(handle)?.done === done) this.#last.delete(handle);
  }
}

export function createAttachments(options: AttachmentsOptions): CniHandler {
  const turns = new Turns();
  return async (request) => {
    switch (request.command) {
      case 'ADD':
        return { ok: true, result: await turns.run(request, () => add(request, options)) };
      case 'DEL':
        await turns.run(request, () => del(request, options));
        return { ok: true, result: undefined };
      case 'CHECK':
        await turns.run(request, () => check(request, options));
        return { ok: true, result: undefined };
      case 'GC':
        await collect(request, options, turns);
        return { ok: true, result: undefined };
      case 'STATUS':
        requireReady(options, cniErrors.notAvailable);
        return { ok: true, result: undefined };
    }
  };
}

function requireReady(options: AttachmentsOptions, code: number): void {
  const fault = options.fault();
  if (fault !== undefined) throw new CniError(code, `the Manx agent is not ready: ${fault}`);
}

async function add(request: AddRequest, options: AttachmentsOptions): Promise<AddResult> {
  requireReady(options, cniErrors.tryAgain);
  const { allocator, felix, workloads } = options;
  const handle = handleOf(request);
  const known = workloads.get(request);
  const signal = AbortSignal.timeout(operationTimeoutMs);
  // The pair needs no address: it is made while the addresses are found and written. Felix keeps the order of both.
  if (known === undefined) void felix.prepare(toPlace(request, options));
  try {
    const assigned = await allocator.assign({
      handle,
      ...(await options.request(request, signal)),
      attributes: attributes(request),
      signal,
    });
    const workload = toWorkload(
      request,
      options,
      assigned.addresses.map((each) => each.ip),
    );
    await workloads.put(workload, felix.plug(workload));
    await options.advertised(assigned.addresses.map((each) => each.block));
    options.log.info('pod attached', {
      pod: podText(workload),
      addresses: workload.addresses,
      containerId: request.containerId,
    });
    return toResult(workload);
  } catch (error) {
    // What an earlier ADD made belongs to a running pod: a failed repeat must not take it away.
    if (known === undefined) await undo(request, options);
    throw toCniError(error);
  }
}

async function undo(request: Attachment, { allocator, felix, workloads, log }: AttachmentsOptions): Promise<void> {
  const signal = AbortSignal.timeout(operationTimeoutMs);
  try {
    await felix.unplug(request);
    await allocator.release(handleOf(request), signal);
    await workloads.remove(request);
  } catch (error) {
    log.warn('a failed ADD could not be undone at once; the DEL of the runtime will', {
      containerId: request.containerId,
      err: error,
    });
  }
}

async function del(request: Attachment, { allocator, felix, workloads, log }: AttachmentsOptions): Promise<void> {
  const workload = workloads.get(request);
  try {
    await felix.unplug(request);
    const released = await allocator.release(handleOf(request), AbortSignal.timeout(operationTimeoutMs));
    await workloads.remove(request);
    log.info('pod detached', { pod: podText(workload), addresses: released, containerId: request.containerId });
  } catch (error) {
    throw toCniError(error);
  }
}

async function check(request: CheckRequest, { felix, workloads }: AttachmentsOptions): Promise<void> {
  const workload = workloads.get(request);
  if (workload === undefined)
    throw new CniError(
      cniErrors.unknownContainer,
      `container ${request.containerId} has no interface ${request.ifname} of ours`,
    );
  const had = workload.addresses.toSorted().join(' ');
  const asked = request.addresses.toSorted().join(' ');
  const faults = had === asked ? [] : [`prevResult has ${asked || 'no address'}, the node has ${had}`];
  faults.push(...(await felix.check({ ...workload, netns: request.netns })));
  if (faults.length > 0)
    throw new CniError(different, `interface ${request.ifname} is not as it was made: ${faults[0]}`, faults.join('; '));
}

/**
 * Removes every attachment of ours that the runtime does not list: records, then addresses, then bare interfaces. What is
 * in hand meanwhile is left alone: the list is older than it.
 */
async function collect(request: GcRequest, options: AttachmentsOptions, turns: Turns): Promise<void> {
  const { allocator, felix, workloads, interfacePrefix, log } = options;
  const valid = new Set([...request.valid, ...turns.inHand].map(handleOf));
  const stale = workloads.all().filter((workload) => !valid.has(handleOf(workload)));
  for (const workload of stale) await turns.run(workload, () => del(workload, options));
  const kept = (): readonly Attachment[] => [...request.valid, ...turns.inHand, ...workloads.all()];
  for (const { handle, ip } of allocator.allocations()) {
    if (kept().some((key) => handleOf(key) === handle)) continue;
    await allocator.release(handle, AbortSignal.timeout(operationTimeoutMs));
    log.warn('released an address whose pod is gone', { address: ip, handle });
  }
  for (const name of await felix.interfaces()) {
    const used = kept().some(
      ({ containerId, ifname }) => hostInterfaceName(containerId, ifname, interfacePrefix) === name,
    );
    if (!used) await felix.removeInterface(name);
  }
}

function attributes({ pod }: AddRequest): Readonly<Record<string, string>> {
  return pod === undefined ? {} : { namespace: pod.namespace, pod: pod.name };
}

function toPlace(request: AddRequest, { interfacePrefix, mtu }: AttachmentsOptions): Omit<Workload, 'addresses'> {
  const wanted = request.mtu ?? mtu;
  return {
    containerId: request.containerId,
    ifname: request.ifname,
    netns: request.netns,
    hostInterface: hostInterfaceName(request.containerId, request.ifname, interfacePrefix),
    ...(wanted === undefined ? {} : { mtu: wanted }),
  };
}

function toWorkload(request: AddRequest, options: AttachmentsOptions, addresses: readonly Ip[]): Workload {
  return {
    ...toPlace(request, options),
    addresses: addresses.toSorted((a, b) => familyOf(a) - familyOf(b)),
    ...(request.pod === undefined ? {} : { pod: request.pod }),
  };
}

function toResult(workload: Workload): AddResult {
  return {
    hostInterface: { name: workload.hostInterface, mac: hostMac },
    podInterface: { name: workload.ifname, netns: workload.netns, mtu: workload.mtu },
    addresses: workload.addresses,
    routes: workload.addresses.map((ip) => defaultRoutes[familyOf(ip)]),
  };
}

function podText(workload: Workload | undefined): string | undefined {
  return workload?.pod === undefined ? undefined : `${workload.pod.namespace}/${workload.pod.name}`;
}

function toCniError(error: unknown): CniError {
  if (error instanceof CniError) return error;
  if (error instanceof FelixError) return new CniError(felixCode(error), error.message, error.code);
  if (isIpamError(error)) return new CniError(ipamCode(error), error.message, error.code);
  if (error instanceof Error && 'syscall' in error) return new CniError(cniErrors.io, error.message);
  return new CniError(cniErrors.tryAgain, `unexpected: ${String(error)}`);
}

function felixCode(error: FelixError): number {
  if (error.code === 'NETNS_MISSING') return cniErrors.unknownContainer;
  if (error.code === 'INTERFACE_TAKEN' || error.code === 'INVALID') return cniErrors.invalidEnvironment;
  return cniErrors.tryAgain;
}

function ipamCode(error: IpamError): number {
  if (error.code === 'INVALID_REQUEST' || error.code === 'ADDRESS_TAKEN') return refused;
  return error.code === 'NO_POOL' || error.code === 'POOL_EXHAUSTED' ? exhausted : cniErrors.tryAgain;
}
