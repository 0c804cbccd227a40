/**
 * The plan that wires one pod: named steps, each harmless when already done, so that a plan cut short anywhere is
 * repaired by running it again. Pure. Both ends know each other's MAC for good (permanent neighbour entries), so no ARP
 * and no NDP is spoken on the link and proxy ARP is not needed: it is silent on a node without a default route anyway.
 *
 *     pod netns                                   node netns
 *     eth0  10.64.0.5/32  fd64::5/128  ── veth ── mxHASH  ee:ee:ee:ee:ee:ee  fe80::ecee:eeff:feee:eeee
 *     default via 169.254.1.1 (link)              10.64.0.5/32 dev mxHASH (the routes driver's work)
 */
import { familyOf, type Ip, parseIp } from '#net';
import { FelixError } from '../errors.ts';
import type { Workload } from '../inputs.ts';
import { deleteAddressLine, replaceAddressLine } from '../iproute2/addr.ts';
import {
  addVethLine,
  deleteLinkLine,
  linkMacLine,
  linkMtuLine,
  linkUpLine,
  noGeneratedAddressLine,
} from '../iproute2/link.ts';
import { replaceNeighbourLine } from '../iproute2/neigh.ts';
import { deviceName } from '../iproute2/route.ts';
import { GATEWAY_4, GATEWAY_6, HOST_MAC } from '../ownership.ts';
import { linkLocalOf, podMac } from './name.ts';

/** Where a step happens. */
type Side = 'host' | 'pod';

export type Step = { readonly name: string; readonly side: Side } & (
  | { readonly kind: 'ip'; readonly line: string }
  /** Written only where the file exists: a kernel without IPv6 has none of the IPv6 ones. */
  | { readonly kind: 'sysctl'; readonly path: string; readonly value: string }
);

/** What to start from: nothing, or a veth pair that is already ours (a repeated ADD, or one that was cut short). */
export type Start =
  | { readonly from: 'nothing' }
  | { readonly from: 'stale' /** a host end whose other end is not in this pod */ }
  | {
      readonly from: 'pair';
      readonly podAddresses: readonly { readonly ip: Ip; readonly length: number }[];
      readonly macs: Readonly<Record<Side, string | undefined>>;
    };

/** Where a pod interface goes, before its addresses are known. */
export type Place = Pick<Workload, 'containerId' | 'ifname' | 'netns' | 'hostInterface' | 'mtu'>;

/** The steps from `start` to a wired pod. Addresses and names were checked by `checkWorkload`. */
export function planPlug(workload: Workload, mtu: number, start: Start): readonly Step[] {
  const steps = [...createSteps(workload, mtu, start), ...linkSteps(workload), ...addressSteps(workload)];
  const allowed = sysctl('pod', `net/ipv6/conf/${workload.ifname}/disable_ipv6`, '0');
  const pod = [...(hasFamily(workload, 6) ? [allowed] : []), ...planPodEnd(workload, start)];
  return [...steps, ...sysctlSteps(workload), ...pod];
}

/** The part that needs no address, from nothing. */
export function planPair(place: Place, mtu: number): readonly Step[] {
  return [...createSteps(place, mtu, { from: 'nothing' }), ...linkSteps(place), ...sysctlSteps(place)];
}

/** The rest on the node's side, after `planPair`: batch lines. */
export function planHostAddresses(workload: Workload): readonly string[] {
  return linesOf(addressSteps(workload));
}

function createSteps({ hostInterface: host, ifname, netns }: Place, mtu: number, start: Start): readonly Step[] {
  if (start.from === 'pair') {
    // Only where it differs: the kernel forgets all neighbours of an interface when its MAC is set, even to the same.
    const mac = (side: Side, device: string, wanted: string) =>
      start.macs[side] === wanted ? [] : [ip(side, `${side} MAC`, linkMacLine(device, wanted))];
    return [
      ...mac('host', host, HOST_MAC),
      ip('host', 'host mtu', linkMtuLine(host, mtu)),
      ...mac('pod', ifname, podMac(host)),
      ip('pod', 'pod mtu', linkMtuLine(ifname, mtu)),
    ];
  }
  const add = addVethLine({ host, hostMac: HOST_MAC, peer: ifname, peerMac: podMac(host), mtu, netns });
  const create = ip('host', 'veth pair', add);
  return start.from === 'stale' ? [ip('host', 'stale veth', deleteLinkLine(host)), create] : [create];
}

/** The batch lines of the host end alone, for putting it right where the pair is there. */
export function planHostEnd(workload: Workload): readonly string[] {
  return linesOf([...linkSteps(workload), ...addressSteps(workload)]);
}

function linesOf(steps: readonly Step[]): readonly string[] {
  return steps.flatMap((step) => (step.kind === 'ip' ? [step.line] : []));
}

function linkSteps({ hostInterface: host }: Place): readonly Step[] {
  return [ip('host', 'no generated address', noGeneratedAddressLine(host)), ip('host', 'host up', linkUpLine(host))];
}

function addressSteps({ hostInterface: host, addresses }: Workload): readonly Step[] {
  const mac = podMac(host);
  return [
    // As a /128: a /64 on a router joins its subnet's anycast group, and leaving that costs 18 ms in every DEL (measured).
    ...(addresses.some((address) => familyOf(address) === 6)
      ? [ip('host', 'host link-local address', replaceAddressLine(parseIp(GATEWAY_6), 128, host))]
      : []),
    ...addresses.map((address) => ip('host', `neighbour ${address}`, replaceNeighbourLine(address, mac, host))),
  ];
}

function sysctlSteps({ hostInterface: host }: Place): readonly Step[] {
  return [
    // Strict reverse path: a pod sends with its own addresses or not at all (RFC 3704 §2.2).
    sysctl('host', `net/ipv4/conf/${host}/rp_filter`, '1'),
    sysctl('host', `net/ipv6/conf/${host}/accept_ra`, '0'),
  ];
}

/**
 * The pod's side: everything but the making of the pair. A namespace where IPv6 is off by default refuses the addresses;
 * `planPlug` turns it on first. No router advertisements reach a pod: the node, alone on the link, sends none.
 */
export function planPodEnd(workload: Workload, start: Start): readonly Step[] {
  const families = { ipv4: hasFamily(workload, 4), ipv6: hasFamily(workload, 6) };
  const { ifname, addresses } = workload;
  const extra = start.from === 'pair' ? start.podAddresses.filter(({ ip }) => !addresses.includes(ip)) : [];
  const route = (name: string, line: string) => ip('pod', name, `route replace ${line} dev ${deviceName(ifname)}`);
  return [
    ip('pod', 'pod loopback up', linkUpLine('lo')),
    // The link-local address is given, not generated: usable at once, with no duplicate address detection.
    ...(families.ipv6 ? [ip('pod', 'no generated pod address', noGeneratedAddressLine(ifname))] : []),
    ip('pod', 'pod up', linkUpLine(ifname)),
    ...(families.ipv6
      ? [
          ip(
            'pod',
            'pod link-local address',
            replaceAddressLine(linkLocalOf(podMac(workload.hostInterface)), 64, ifname),
          ),
        ]
      : []),
    ...extra.map(({ ip: old, length }) => ip('pod', `old address ${old}`, deleteAddressLine(old, length, ifname))),
    ...addresses.map((address) => {
      const length = familyOf(address) === 4 ? 32 : 128;
      return ip('pod', `address ${address}`, replaceAddressLine(address, length, ifname));
    }),
    ...(families.ipv4
      ? [
          ip('pod', 'IPv4 gateway neighbour', replaceNeighbourLine(parseIp(GATEWAY_4), HOST_MAC, ifname)),
          ip('pod', 'IPv4 gateway route', `route replace ${GATEWAY_4}/32 dev ${deviceName(ifname)} scope link`),
          route('IPv4 default route', `default via ${GATEWAY_4}`),
        ]
      : []),
    ...(families.ipv6
      ? [
          ip('pod', 'IPv6 gateway neighbour', replaceNeighbourLine(parseIp(GATEWAY_6), HOST_MAC, ifname)),
          route('IPv6 default route', `default via ${GATEWAY_6}`),
        ]
      : []),
  ];
}

function ip(side: Side, name: string, line: string): Step {
  return { name, side, kind: 'ip', line };
}

function sysctl(side: Side, path: string, value: string): Step {
  return { name: `sysctl ${path}`, side, kind: 'sysctl', path, value };
}

function hasFamily(workload: Workload, family: 4 | 6): boolean {
  return workload.addresses.some((address) => familyOf(address) === family);
}

/** Refuses, before anything is done, what no step could carry · throws FelixError INVALID. */
export function checkWorkload(workload: Workload, prefix: string): void {
  const fault =
    placeFault(workload, prefix) ??
    (workload.addresses.length === 0 ? lacking('addresses', '', 'at least one address') : undefined);
  if (fault !== undefined) throw new FelixError('INVALID', `workload ${workload.hostInterface}: ${fault}`);
}

function lacking(field: string, value: string, expected: string): string {
  return `${field} ${JSON.stringify(value)}: expected ${expected}`;
}

/** What no step could carry, in words. */
export function placeFault({ ifname, hostInterface, netns, mtu }: Place, prefix: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(ifname)) return lacking('ifname', ifname, 'an interface name');
  if (!isOurInterface(hostInterface, prefix)) {
    return lacking('hostInterface', hostInterface, `${prefix} and 11 hexadecimal digits`);
  }
  if (!/^\/[A-Za-z0-9_./:@+-]+$/.test(netns)) return lacking('netns', netns, 'an absolute path');
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= 576 && mtu <= 65_535)) {
    return lacking('mtu', String(mtu), 'an integer from 576 to 65535');
  }
  return undefined;
}

/** Whether a name is one `hostInterfaceName` could have given. */
export function isOurInterface(name: string, prefix: string): boolean {
  return (
    name.length === prefix.length + 11 && name.startsWith(prefix) && /^[0-9a-f]{11}$/.test(name.slice(prefix.length))
  );
}
