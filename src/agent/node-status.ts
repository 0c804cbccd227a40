// What this node reports about itself: the status of its NodeStatus object. Pure; status-writer.ts writes it.
//
// Lists are sorted and capped at what the kind admits; two equal states give equal text, so that nothing is written twice.
import type { PeerStatus, SessionState } from '#bgp';
import { comparePrefix, type Ip, type Prefix } from '#net';
import type { Check } from '#observe';

export interface StatusInput {
  readonly version: string;
  readonly startedAt: string;
  readonly addresses: readonly Ip[];
  readonly as: number;
  readonly routerId: Ip;
  readonly peers: readonly PeerStatus[];
  readonly blocks: readonly { readonly cidr: Prefix; readonly used: number }[];
  readonly pods: number;
  readonly checks: readonly Check[];
}

const stateNames: Readonly<Record<SessionState, string>> = {
  idle: 'Idle',
  connect: 'Connect',
  active: 'Active',
  'open-sent': 'OpenSent',
  'open-confirm': 'OpenConfirm',
  established: 'Established',
};
const maxPeers = 8192;
const maxBlocks = 4096;
const maxText = 1024;

/** The status without `observedAt` and without condition times. */
export function nodeStatus(input: StatusInput) {
  const faults = input.checks.filter((check) => check.fault !== undefined);
  const established = input.peers.filter((peer) => peer.state === 'established').length;
  return {
    agent: { version: input.version, since: input.startedAt, ready: faults.length === 0 },
    addresses: input.addresses,
    bgp: {
      asNumber: input.as,
      routerID: input.routerId,
      peers: input.peers
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .slice(0, maxPeers)
        .map(peerRow),
    },
    blocks: input.blocks
      .toSorted((a, b) => comparePrefix(a.cidr, b.cidr))
      .slice(0, maxBlocks)
      .map(({ cidr, used }) => ({ cidr, used })),
    counts: { sessions: `${established}/${input.peers.length}`, pods: input.pods, blocks: input.blocks.length },
    conditions: [readyCondition(faults)],
  };
}

function peerRow(peer: PeerStatus) {
  return {
    name: peer.name,
    address: peer.address,
    asNumber: peer.as,
    state: stateNames[peer.state],
    since: new Date(peer.sinceMs).toISOString(),
    reason: peer.reason.slice(0, maxText),
    prefixesReceived: peer.received,
    prefixesAccepted: peer.accepted,
    prefixesAdvertised: peer.advertised,
  };
}

function readyCondition(faults: readonly Check[]) {
  const [first] = faults;
  if (first === undefined) return { type: 'Ready', status: 'True', reason: 'Ready', message: 'all checks pass' };
  const message = faults.map((check) => `${check.name}: ${check.fault ?? ''}`).join('; ');
  return { type: 'Ready', status: 'False', reason: `${camel(first.name)}NotReady`, message: message.slice(0, maxText) };
}

function camel(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_match, _dash, letter: string) => letter.toUpperCase());
}

export type NodeStatusBody = ReturnType<typeof nodeStatus>;

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime: string;
}

/** Completes the status: conditions keep the time of their last transition while their status stays the same. */
export function stampStatus(body: NodeStatusBody, previous: readonly Condition[], now: string) {
  return {
    ...body,
    observedAt: now,
    conditions: body.conditions.map((condition) => {
      const before = previous.find(({ type }) => type === condition.type);
      const since = before?.status === condition.status ? before.lastTransitionTime : now;
      return { ...condition, lastTransitionTime: since };
    }),
  };
}
