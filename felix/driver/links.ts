/**
 * The links driver: keeps the host ends of wired pods as `plug` left them. A host end set down by hand loses its routes,
 * its link-local address and its neighbours, and the pod is cut off with nothing to tell the kubelet; a flushed neighbour
 * table does the same. Only what is found wrong is written again; an interface that is gone is not made again here, that
 * is the runtime's next ADD.
 */
import { familyOf } from '#net';
import type { Workload } from '../inputs.ts';
import type { Batch } from '../iproute2/batch.ts';
import type { Link } from '../iproute2/link.ts';
import type { Neighbour } from '../iproute2/neigh.ts';
import { GATEWAY_6 } from '../ownership.ts';
import { podMac } from '../workload/name.ts';
import { planHostEnd } from '../workload/plug.ts';

/** Wired pods whose host end is there but not as it should be. */
export function brokenHostEnds(
  workloads: Iterable<Workload>,
  links: readonly Link[],
  neighbours: readonly Neighbour[],
): readonly Workload[] {
  const byName = new Map(links.map((link) => [link.name, link]));
  const known = new Set(neighbours.map(({ device, ip, mac }) => `${device} ${ip} ${mac}`));
  return [...workloads].filter((workload) => {
    const link = byName.get(workload.hostInterface);
    return link !== undefined && !isWhole(workload, link, known);
  });
}

function isWhole(workload: Workload, link: Link, known: ReadonlySet<string>): boolean {
  const { hostInterface, addresses } = workload;
  const mac = podMac(hostInterface);
  const hasIpv6 = addresses.some((ip) => familyOf(ip) === 6);
  return (
    link.up &&
    addresses.every((ip) => known.has(`${hostInterface} ${ip} ${mac}`)) &&
    (!hasIpv6 || link.addresses.some((address) => address.ip === GATEWAY_6))
  );
}

/** Writes the host end of these anew; resolves with the first refusal of each, by interface. */
export async function applyHostEnds(
  batch: Batch,
  workloads: readonly Workload[],
): Promise<ReadonlyMap<string, string>> {
  const lines = workloads.flatMap((workload) => planHostEnd(workload).map((line) => ({ line, workload })));
  const refused = await batch.submit(lines.map(({ line }) => line));
  const faults = new Map<string, string>();
  for (const [index, message] of refused) {
    const name = lines[index]?.workload.hostInterface;
    if (name !== undefined && !faults.has(name)) faults.set(name, message);
  }
  return faults;
}
