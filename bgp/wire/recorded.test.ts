/**
 * The oracle: 441 messages that BIRD, FRR, GoBGP and OpenBGPD sent each other (test/fixtures/bgp), decoded and compared
 * with notes and a tshark summary that were made without our decoder. Messages with ADD-PATH identifiers, which we never
 * negotiate, are left out by count; they still take part in the fuzzing of message.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { prefixAddress } from '#net';
import type { Capability } from './capability.ts';
import type { WireContext } from './context.ts';
import { formatHex, parseHex } from './hex.ts';
import { decodeMessage, encodeMessage, type Message } from './message.ts';
import { FULL_CONTEXT, messageOf, outcome } from './testing.ts';
import type { UpdateMessage } from './update.ts';

interface Recorded {
  readonly source: string;
  readonly scenario: string;
  readonly type: string;
  readonly hex: string;
  readonly tshark_summary: string;
  readonly note: string;
  readonly context?: { readonly as4?: boolean; readonly addpath?: readonly string[] };
}

const FILE = new URL('../../test/fixtures/bgp/messages.json', import.meta.url);
const ALL = JSON.parse(readFileSync(FILE, 'utf8')) as readonly Recorded[];
const DECODABLE = ALL.filter((item) => item.context?.addpath === undefined);

/** The attribute codes in a note such as `attrs 1,2,3`. */
function attributesOf(item: Recorded): number[] {
  const list = /^attrs ([\d,]+)$/.exec(item.note)?.[1] ?? '';
  return list === '' ? [] : list.split(',').map(Number);
}

function contextOf(item: Recorded): WireContext {
  return {
    ...FULL_CONTEXT,
    fourOctetAs: item.context?.as4 ?? true,
    extendedMessages: item.hex.length / 2 > 4096,
    peerType: attributesOf(item).includes(5) ? 'ibgp' : 'ebgp',
    extendedNextHop: true,
  };
}

/** The values of a field in the tshark summary. */
function field(item: Recorded, name: string): string[] {
  const found = item.tshark_summary.split(' ').find((word) => word.startsWith(`${name}=`));
  return found === undefined ? [] : found.slice(name.length + 1).split(',');
}

function capabilityCode(capability: Capability): number {
  const codes = {
    multiprotocol: 1,
    'route-refresh': 2,
    'extended-message': 6,
    'graceful-restart': 64,
    'four-octet-as': 65,
    'enhanced-route-refresh': 70,
  };
  return capability.kind === 'unknown' ? capability.value : codes[capability.kind];
}

/** What the notes write of a capability. */
function capabilityNote(capability: Capability): string | undefined {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  switch (capability.kind) {
    case 'multiprotocol':
      return `MP:${hex(capability.afi, 4)}00${hex(capability.safi, 2)}`;
    case 'four-octet-as':
      return `AS4:${hex(capability.as, 8)}`;
    case 'route-refresh':
      return 'RR';
    case 'enhanced-route-refresh':
      return 'ERR';
    case 'extended-message':
      return 'EXTMSG';
    case 'graceful-restart': {
      const { restarting, notification, restartTimeSec, families } = capability;
      const head = (restarting ? 0x8000 : 0) | (notification ? 0x4000 : 0) | restartTimeSec;
      const list = families.map(
        ({ afi, safi, forwarding }) => `${hex(afi, 4)}${hex(safi, 2)}${forwarding ? '80' : '00'}`,
      );
      return `GR:${hex(head, 4)}${list.join('')}`;
    }
    case 'unknown':
      return undefined;
  }
}

/** The codes of the attributes that a decoded UPDATE shows signs of; NEXT_HOP and the MP ones from its routes. */
function presentCodes(message: UpdateMessage): Set<number> {
  const value = message.attributes;
  if (value === undefined) return new Set();
  const present: readonly (readonly [number, boolean])[] = [
    [1, true],
    [2, true],
    [4, value.med !== undefined],
    [5, value.localPref !== undefined],
    [6, value.atomicAggregate],
    [7, value.aggregator !== undefined],
    [8, value.communities.length > 0],
    [9, value.originatorId !== undefined],
    [10, value.clusterList.length > 0],
    [16, value.extendedCommunities.length > 0],
    [32, value.largeCommunities.length > 0],
    ...value.unknown.map(({ code }) => [code, true] as const),
  ];
  return new Set(present.filter(([, there]) => there).map(([code]) => code));
}

/** AIGP is optional and non-transitive: dropped unseen, as RFC 4271 §5 wants of what is not known. */
const DROPPED = 26;
/** OpenBGPD on an IPv6 session gives IPv4 routes the next hop 127.0.0.1: right to refuse. */
const LOOPBACK_NEXT_HOP = ['mp-v6-frr-openbgpd', 'mp-v6-nhset-openbgpd-bird'];

function checkUpdate(item: Recorded, message: UpdateMessage): void {
  if (item.note.startsWith('EoR')) {
    assert.equal(message.endOfRib, item.note === 'EoR ipv4' ? 4 : 6);
    return;
  }
  assert.equal(message.endOfRib, undefined);
  if (item.note === 'withdraw' || item.note === 'attrs 15') {
    assert.ok(message.withdrawn.length > 0);
    assert.deepEqual(message.announced, []);
    return;
  }
  if (item.source.startsWith('openbgpd') && LOOPBACK_NEXT_HOP.includes(item.scenario) && message.errors.length > 0) {
    assert.match(message.errors[0]?.reason ?? '', /127\.0\.0\.1/);
    return;
  }
  assert.deepEqual(message.errors, []);
  const kept = new Set([3, 14, 17, 18, DROPPED]);
  assert.deepEqual(
    [...presentCodes(message)].toSorted((a, b) => a - b),
    attributesOf(item)
      .filter((code) => !kept.has(code))
      .toSorted((a, b) => a - b),
  );
  checkPrefixes(item, message);
  checkAsPath(item, message);
}

/** The summary lists addresses only, and cuts long lists. */
function checkPrefixes(item: Recorded, message: UpdateMessage): void {
  const listed = ['nlri_prefix', 'mp_reach_nlri_ipv4_prefix', 'mp_reach_nlri_ipv6_prefix'].flatMap((name) =>
    field(item, name),
  );
  if (item.hex.length / 2 > 4096) return; // tshark took the extended message for a malformed one
  assert.ok(listed.length > 0);
  const whole = listed.length < 40 ? listed : listed.slice(0, -1);
  const found = message.announced.map(({ prefix }) => String(prefixAddress(prefix)));
  assert.deepEqual(found.slice(0, whole.length), whole);
}

/** tshark lists the ASes of AS_PATH and AS4_PATH; where both are there the merged path ends in AS4_PATH. */
function checkAsPath(item: Recorded, message: UpdateMessage): void {
  const found = message.attributes?.asPath.flatMap(({ asns }) => asns) ?? [];
  const as4 = field(item, 'update.path_attribute.as_path_segment.as4').map(Number);
  const as2 = field(item, 'update.path_attribute.as_path_segment.as2').map(Number);
  if (attributesOf(item).includes(17)) {
    assert.equal(found.length, as2.length);
    assert.deepEqual(found.slice(found.length - as4.length), as4);
  } else if (as4.length + as2.length > 0) {
    assert.deepEqual(found, as4.length > 0 ? as4 : as2);
  }
}

function check(item: Recorded, message: Message): void {
  switch (message.type) {
    case 'open': {
      assert.deepEqual(field(item, 'open.myas'), [`${message.as}`]);
      assert.deepEqual(field(item, 'open.holdtime'), [`${message.holdTimeSec}`]);
      assert.deepEqual(
        field(item, 'cap.type').join(),
        message.capabilities.map(capabilityCode).join(),
        'capabilities in order',
      );
      const words = item.note.split(' ');
      for (const word of message.capabilities.map(capabilityNote))
        assert.ok(word === undefined || words.includes(word), word);
      return;
    }
    case 'notification':
      return assert.equal(`${message.code}/${message.subcode}`, item.note);
    case 'route-refresh':
      return assert.equal(['REFRESH', 'BoRR', 'EoRR'][message.subtype], item.note);
    case 'keepalive':
      return;
    case 'update':
      return checkUpdate(item, message);
  }
}

const TYPES: Readonly<Record<Message['type'], string>> = {
  open: 'OPEN',
  update: 'UPDATE',
  notification: 'NOTIFICATION',
  keepalive: 'KEEPALIVE',
  'route-refresh': 'ROUTE-REFRESH',
};

/** Bad input that the recorded speakers were given, as far as bytes alone tell that it is bad. */
const PROBES: Readonly<Record<string, Uint8Array>> = {
  'bad-marker': messageOf(4, '').fill(0, 0, 1),
  'bad-length': messageOf(4, '').fill(5, 17, 18),
  'bad-length-open': messageOf(1, '04'),
  'bad-type': messageOf(9, ''),
  'version-3': messageOf(1, '03 fde9 005a c0000201 00'),
  'version-5': messageOf(1, '05 fde9 005a c0000201 00'),
  'hold-1': messageOf(1, '04 fde9 0001 c0000201 00'),
  'hold-2': messageOf(1, '04 fde9 0002 c0000201 00'),
  'rid-0': messageOf(1, '04 fde9 005a 00000000 00'),
  'as-0': messageOf(1, '04 0000 005a c0000201 00'),
  'unsup-optparam': messageOf(1, '04 fde9 005a c0000201 04 01020000'),
  'optlen-overrun': messageOf(1, '04 fde9 005a c0000201 40 0202 0200'),
  'upd-attrlen-overrun': messageOf(2, '0000 00ff 40010100'),
  'upd-wdlen-overrun': messageOf(2, '00ff 0000'),
  'upd-unknown-wk': messageOf(2, '0000 0004 40630100 08 0a'),
  'upd-prefixlen-33': messageOf(2, '0000 0014 40010100 4002060201 0000fde9 400304c0000201 21 0a00000000'),
  'upd-mpreach-badlen': messageOf(2, '0000 0006 800e03000201'),
  'rr-badlen': messageOf(5, '0001'),
};

describe('recorded messages', () => {
  test('all 441 are there, and only those with ADD-PATH are left out', () => {
    assert.equal(ALL.length, 441);
    assert.equal(ALL.length - DECODABLE.length, 39);
  });

  for (const type of Object.values(TYPES)) {
    test(`every ${type} decodes as its note says`, () => {
      const items = DECODABLE.filter((item) => item.type === type);
      assert.ok(items.length >= 4);
      for (const item of items) {
        const label = `${item.source} in ${item.scenario}: ${item.note}`;
        const message = decodeMessage(parseHex(item.hex), contextOf(item));
        assert.equal(TYPES[message.type], type, label);
        try {
          check(item, message);
        } catch (cause) {
          throw new Error(label, { cause });
        }
      }
    });
  }

  test('every message but UPDATE and OPEN encodes to the very bytes', () => {
    for (const item of DECODABLE) {
      if (item.type === 'UPDATE' || item.type === 'OPEN') continue;
      const context = contextOf(item);
      assert.equal(formatHex(encodeMessage(decodeMessage(parseHex(item.hex), context), context)), item.hex);
    }
  });

  test('every OPEN and UPDATE means the same after encoding', () => {
    for (const item of DECODABLE) {
      const context = contextOf(item);
      const message = decodeMessage(parseHex(item.hex), context);
      if (message.type !== 'open' && message.type !== 'update') continue;
      // What was wrong with a message is not sent on.
      const sent: Message = message.type === 'update' ? { ...message, errors: [] } : message;
      assert.deepEqual(decodeMessage(encodeMessage(sent, context), context), sent);
    }
  });

  for (const [name, bytes] of Object.entries(PROBES)) {
    test(`we answer ${name} as recorded speakers do`, () => {
      const answers = ALL.filter((item) => item.scenario.endsWith(`:${name}`)).map((item) => item.note);
      const ours = outcome(() => decodeMessage(bytes, FULL_CONTEXT)).split(' ')[0] ?? '';
      if (answers.length === 0) assert.notEqual(ours, 'none');
      else assert.ok(answers.includes(ours), `${ours} is none of ${answers.join()}`);
    });
  }
});
