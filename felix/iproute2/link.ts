/**
 * A network interface (rtnetlink RTM_NEWLINK, ip-link(8)): `ip -j -N -d addr` JSON → value, and the batch lines that
 * make and shape a veth pair. `addr` is read rather than `link` because it holds both in one dump.
 */
import { type Ip, tryParseIp } from '#net';
import { numberOf, recordsOf, textOf } from './json.ts';
import { deviceName } from './route.ts';

export interface Link {
  readonly name: string;
  readonly index: number;
  /** Index of the other end of a veth pair; in another namespace when `peerNamespace` is present. */
  readonly peerIndex: number | undefined;
  readonly mac: string | undefined;
  readonly mtu: number;
  readonly up: boolean;
  readonly loopback: boolean;
  readonly addresses: readonly LinkAddress[];
}

interface LinkAddress {
  readonly ip: Ip;
  readonly length: number;
  readonly linkLocal: boolean;
}

/** Decodes `ip -j -N addr show`. */
export function decodeLinks(json: unknown): readonly Link[] {
  return recordsOf(json).flatMap((entry) => {
    const name = textOf(entry, 'ifname');
    const index = numberOf(entry, 'ifindex');
    if (name === undefined || index === undefined) return [];
    const flags: readonly unknown[] = Array.isArray(entry['flags']) ? entry['flags'] : [];
    return [
      {
        name,
        index,
        peerIndex: numberOf(entry, 'link_index'),
        mac: textOf(entry, 'address'),
        mtu: numberOf(entry, 'mtu') ?? 0,
        up: flags.includes('UP'),
        loopback: flags.includes('LOOPBACK'),
        addresses: recordsOf(entry['addr_info']).flatMap(decodeAddress),
      },
    ];
  });
}

function decodeAddress(entry: Readonly<Record<string, unknown>>): readonly LinkAddress[] {
  const ip = tryParseIp(textOf(entry, 'local') ?? '');
  const length = numberOf(entry, 'prefixlen');
  if (ip === undefined || length === undefined) return [];
  return [{ ip, length, linkLocal: ip.startsWith('fe80:') || ip.startsWith('169.254.') }];
}

/** `link add` of a veth pair whose far end is born in the namespace at `netns`: there is no moment with only one end. */
export function addVethLine(pair: {
  readonly host: string;
  readonly hostMac: string;
  readonly peer: string;
  readonly peerMac: string;
  readonly mtu: number;
  readonly netns: string;
}): string {
  const peer = `${deviceName(pair.peer)} address ${pair.peerMac} mtu ${pair.mtu} netns ${pair.netns}`;
  return `link add ${deviceName(pair.host)} address ${pair.hostMac} mtu ${pair.mtu} type veth peer name ${peer}`;
}

export function linkUpLine(device: string): string {
  return `link set dev ${deviceName(device)} up`;
}

export function linkMtuLine(device: string, mtu: number): string {
  return `link set dev ${deviceName(device)} mtu ${mtu}`;
}

export function linkMacLine(device: string, mac: string): string {
  return `link set dev ${deviceName(device)} address ${mac}`;
}

/** No generated link-local address: ours is given. */
export function noGeneratedAddressLine(device: string): string {
  return `link set dev ${deviceName(device)} addrgenmode none`;
}

export function deleteLinkLine(device: string): string {
  return `link del dev ${deviceName(device)}`;
}
