/**
 * Capabilities: what a speaker announces in OPEN that it can do (RFC 5492 §4). One row per capability we act on, each
 * with its RFC; every other code is kept opaque and never an error, a known code with an impossible value is (2/0).
 *
 *   +-----------------+-------------------+-------------------------------+
 *   |  Code (1 octet) |  Length (1 octet) |  Value (Length octets)        |
 *   +-----------------+-------------------+-------------------------------+
 */
import { WireError } from '../errors.ts';
import { CapabilityCode, ErrorCode, OpenSubcode } from '../iana.ts';
import type { AfiSafi } from './family.ts';
import { formatHex } from './hex.ts';
import { Reader, readU16, readU32 } from './reader.ts';
import { Writer } from './writer.ts';

interface GracefulRestartFamily extends AfiSafi {
  /** F bit: forwarding state of this family survived the restart. */
  readonly forwarding: boolean;
}

/** What a speaker announces it can do · RFC 5492 §4. */
export type Capability =
  | { readonly kind: 'multiprotocol'; readonly afi: number; readonly safi: number }
  | { readonly kind: 'route-refresh' }
  | { readonly kind: 'extended-message' }
  | {
      readonly kind: 'graceful-restart';
      /** R bit: the sender has just restarted. */
      readonly restarting: boolean;
      /** N bit: NOTIFICATION and hold time expiry keep routes too · RFC 8538. */
      readonly notification: boolean;
      /** 0–4095 seconds. */
      readonly restartTimeSec: number;
      readonly families: readonly GracefulRestartFamily[];
    }
  | { readonly kind: 'four-octet-as'; readonly as: number }
  | { readonly kind: 'enhanced-route-refresh' }
  | { readonly kind: 'unknown'; readonly value: number; readonly data: Uint8Array };

type Known = Exclude<Capability['kind'], 'unknown'>;
type Of<K extends Known> = Extract<Capability, { readonly kind: K }>;

interface Row {
  readonly kind: Known;
  readonly code: number;
  /** undefined = the value cannot be one of this capability. */
  readonly decode: (data: Uint8Array) => Capability | undefined;
  readonly encode: (capability: Capability) => Uint8Array;
  /** What formatCapability says after the name. */
  readonly format: (capability: Capability) => string;
}

interface TypedRow<K extends Known> {
  readonly kind: K;
  readonly code: number;
  readonly decode: (data: Uint8Array) => Of<K> | undefined;
  readonly encode: (capability: Of<K>) => Uint8Array;
  readonly format: (capability: Of<K>) => string;
}

/** Forgets which capability a row is of; the table only ever hands a row capabilities of its own kind. */
function row<K extends Known>(typed: TypedRow<K>): Row {
  return {
    ...typed,
    encode: (capability) => typed.encode(capability as Of<K>),
    format: (capability) => typed.format(capability as Of<K>),
  };
}

/** A capability that says all by being there. */
function flagRow(kind: 'route-refresh' | 'extended-message' | 'enhanced-route-refresh', code: number): Row {
  return {
    kind,
    code,
    decode: (data) => (data.length === 0 ? { kind } : undefined),
    encode: () => new Uint8Array(0),
    format: () => '',
  };
}

const RESTARTING = 0x8000;
const NOTIFICATION = 0x4000;
const RESTART_TIME = 0x0fff;
const FORWARDING = 0x80;

/**
 * The value of Graceful Restart · RFC 4724 §3, N bit RFC 8538 §2 · AFI, SAFI and flags repeat per family.
 *
 *   +-+-+-+-+-----------------------+-------------------------------+---------------+-+-------------+
 *   |R|N|   |  Restart Time (12 bit)|              AFI              |      SAFI     |F|             |
 *   +-+-+-+-+-----------------------+-------------------------------+---------------+-+-------------+
 */
function decodeGracefulRestart(data: Uint8Array): Of<'graceful-restart'> | undefined {
  if (data.length < 2 || (data.length - 2) % 4 !== 0) return undefined;
  const head = readU16(data, 0);
  const families: GracefulRestartFamily[] = [];
  for (let at = 2; at < data.length; at += 4) {
    const forwarding = ((data[at + 3] ?? 0) & FORWARDING) !== 0;
    families.push({ afi: readU16(data, at), safi: data[at + 2] ?? 0, forwarding });
  }
  return {
    kind: 'graceful-restart',
    restarting: (head & RESTARTING) !== 0,
    notification: (head & NOTIFICATION) !== 0,
    restartTimeSec: head & RESTART_TIME,
    families,
  };
}

function encodeGracefulRestart(capability: Of<'graceful-restart'>): Uint8Array {
  const { restarting, notification, restartTimeSec, families } = capability;
  const flags = (restarting ? RESTARTING : 0) | (notification ? NOTIFICATION : 0);
  const writer = new Writer().u16(flags | Math.min(restartTimeSec, RESTART_TIME));
  for (const family of families) {
    writer
      .u16(family.afi)
      .u8(family.safi)
      .u8(family.forwarding ? FORWARDING : 0);
  }
  return writer.finish();
}

function formatGracefulRestart(capability: Of<'graceful-restart'>): string {
  const { restarting, notification, restartTimeSec, families } = capability;
  const bits = `${restarting ? ' R' : ''}${notification ? ' N' : ''}`;
  const list = families.map((family) => ` ${family.afi}/${family.safi}${family.forwarding ? ' F' : ''}`);
  return `${restartTimeSec}s${bits}${list.join('')}`;
}

const ROWS: readonly Row[] = [
  // RFC 4760 §8: AFI, a reserved octet, SAFI.
  row<'multiprotocol'>({
    kind: 'multiprotocol',
    code: CapabilityCode.multiprotocol,
    decode: (data) =>
      data.length === 4 ? { kind: 'multiprotocol', afi: readU16(data, 0), safi: data[3] ?? 0 } : undefined,
    encode: ({ afi, safi }) => new Writer().u16(afi).u8(0).u8(safi).finish(),
    format: ({ afi, safi }) => `${afi}/${safi}`,
  }),
  flagRow('route-refresh', CapabilityCode.routeRefresh), // RFC 2918 §2
  flagRow('extended-message', CapabilityCode.extendedMessage), // RFC 8654 §3
  row<'graceful-restart'>({
    kind: 'graceful-restart',
    code: CapabilityCode.gracefulRestart,
    decode: decodeGracefulRestart,
    encode: encodeGracefulRestart,
    format: formatGracefulRestart,
  }),
  // RFC 6793 §3: the AS number in four octets.
  row<'four-octet-as'>({
    kind: 'four-octet-as',
    code: CapabilityCode.fourOctetAs,
    decode: (data) => (data.length === 4 ? { kind: 'four-octet-as', as: readU32(data, 0) } : undefined),
    encode: (capability) => new Writer().u32(capability.as).finish(),
    format: (capability) => `${capability.as}`,
  }),
  flagRow('enhanced-route-refresh', CapabilityCode.enhancedRouteRefresh), // RFC 7313 §3.1
];

const ROW_BY_CODE: ReadonlyMap<number, Row> = new Map(ROWS.map((entry) => [entry.code, entry]));
const ROW_BY_KIND: ReadonlyMap<string, Row> = new Map(ROWS.map((entry) => [entry.kind, entry]));

/** Reads the capabilities in one optional parameter, in order, repeated ones included; throws WireError 2/0 · RFC 5492 §4. */
export function decodeCapabilities(bytes: Uint8Array): Capability[] {
  const reader = new Reader(bytes, { start: 0, end: bytes.length }, () =>
    malformed('capability reaches past its parameter'),
  );
  const capabilities: Capability[] = [];
  while (reader.left > 0) {
    const code = reader.u8();
    const data = reader.take(reader.u8());
    const entry = ROW_BY_CODE.get(code);
    // A copy: a value must not keep the whole receive buffer alive, nor change with it.
    const capability =
      entry === undefined ? { kind: 'unknown' as const, value: code, data: data.slice() } : entry.decode(data);
    if (capability === undefined) throw malformed(`capability ${code} has an impossible length ${data.length}`);
    capabilities.push(capability);
  }
  return capabilities;
}

/** Appends one capability: code, length, value. */
export function encodeCapability(capability: Capability, writer: Writer): void {
  const { code, data } = toCodeAndData(capability);
  if (data.length > 255) throw new RangeError(`capability ${code}: expected at most 255 bytes, not ${data.length}`);
  writer.u8(code).u8(data.length).bytes(data);
}

/** For people: the capability's name and what it says. */
export function formatCapability(capability: Capability): string {
  if (capability.kind === 'unknown') return `unknown(${capability.value}) ${formatHex(capability.data)}`.trimEnd();
  return `${capability.kind} ${ROW_BY_KIND.get(capability.kind)?.format(capability) ?? ''}`.trimEnd();
}

function toCodeAndData(capability: Capability): { readonly code: number; readonly data: Uint8Array } {
  if (capability.kind === 'unknown') return { code: capability.value, data: capability.data };
  const entry = ROW_BY_KIND.get(capability.kind);
  if (entry === undefined) throw new RangeError(`capability ${capability.kind}: expected a known kind`);
  return { code: entry.code, data: entry.encode(capability) };
}

function malformed(message: string): WireError {
  return new WireError(ErrorCode.openMessage, OpenSubcode.unspecific, message);
}
