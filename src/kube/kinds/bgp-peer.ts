/** BGPPeer (crds/bgppeers.yaml): one router, or other speaker, that nodes hold a session with. */
import { type Ip, parseIp } from '#net';
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';
import type { BGPPeerSpec } from '../types.ts';
import { unusableAddress } from './address.ts';
import { readAsNumber } from './as-number.ts';
import { readDurationSec } from './duration.ts';

export interface BGPPeer {
  readonly name: string;
  /** The one node that peers; with nodeSelector undefined too, every node does. */
  readonly node: string | undefined;
  /** Checked by #selector, kept as written. */
  readonly nodeSelector: string | undefined;
  readonly address: Ip;
  readonly port: number;
  readonly as: number;
  /** 0 = no hold timer; undefined = the speaker's default. */
  readonly holdTimeSec: number | undefined;
  readonly keepaliveSec: number | undefined;
  readonly passive: boolean;
  readonly enabled: boolean;
  readonly description: string;
}

/** Fields of Calico's kind that would change a session if they were honoured, and are not. */
const REFUSED = [
  'peerSelector',
  'localASNumber',
  'localWorkloadSelector',
  'keepOriginalNextHop',
  'password',
  'maxRestartTime',
  'numAllowedLocalASNumbers',
  'ttlSecurity',
  'reachableBy',
  'filters',
] as const satisfies readonly (keyof BGPPeerSpec)[];

const BGP_PORT = 179;

export function parseBGPPeer(object: KubeObject): ParseResult<BGPPeer> {
  return parseFields(object, readBGPPeer);
}

function readBGPPeer(object: Fields): BGPPeer {
  const spec = object.fields('spec');
  spec.refuse(...REFUSED);
  spec.word('sourceAddress', ['UseNodeIP'], 'UseNodeIP');
  spec.word('nextHopMode', ['Auto'], 'Auto');
  spec.word('reversePeering', ['Auto'], 'Auto');
  const node = spec.text('node');
  const nodeSelector = spec.selector('nodeSelector');
  if (node !== undefined && nodeSelector !== undefined) return spec.fail('nodeSelector', 'cannot be set beside node');
  return {
    name: object.fields('metadata').requiredText('name'),
    node,
    nodeSelector,
    ...readPeerAddress(spec),
    as: readAsNumber(spec, 'asNumber') ?? spec.fail('asNumber', 'is missing'),
    ...readTimes(spec),
    passive: spec.flag('passive', false),
    enabled: spec.flag('enabled', true),
    description: spec.text('description') ?? '',
  };
}

function readPeerAddress(spec: Fields): { readonly address: Ip; readonly port: number } {
  const peer = spec.convert('peerIP', parsePeerAddress);
  const fault = unusableAddress(peer.address);
  return fault === undefined ? peer : spec.fail('peerIP', `${peer.address} ${fault}`);
}

/** `IP`, `IPv4:PORT` or `[IPv6]:PORT`. Throws AddressError or RangeError. */
function parsePeerAddress(text: string): { readonly address: Ip; readonly port: number } {
  const match = /^(?:([0-9.]+)|\[([^\]]*:[^\]]*)\]):([0-9]{1,5})$/.exec(text);
  if (match === null) return { address: parseIp(text), port: BGP_PORT };
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) throw new RangeError(`port ${port} is not from 1 to 65535`);
  return { address: parseIp(match[1] ?? match[2] ?? ''), port };
}

function readTimes(spec: Fields): Pick<BGPPeer, 'holdTimeSec' | 'keepaliveSec'> {
  const holdTimeSec = readDurationSec(spec, 'holdTime', (seconds) =>
    seconds === 0 || (seconds >= 3 && seconds <= 65_535) ? undefined : 'must be 0s, or 3s to 65535s',
  );
  const keepaliveSec = readDurationSec(spec, 'keepaliveTime', (seconds) =>
    seconds >= 1 && seconds <= 21_845 ? undefined : 'must be 1s to 21845s',
  );
  if (holdTimeSec !== undefined && holdTimeSec > 0 && keepaliveSec !== undefined && holdTimeSec < 3 * keepaliveSec) {
    return spec.fail('holdTime', 'must be at least three times keepaliveTime');
  }
  return { holdTimeSec, keepaliveSec };
}
