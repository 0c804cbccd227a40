/**
 * rtnetlink messages (rtnetlink(7), linux/rtnetlink.h, linux/nexthop.h) on byte buffers: routes of the main table and
 * nexthop objects. Little-endian hosts only. Pure.
 *
 *     0        4      6       8          12      16
 *     | length | type | flags | sequence | port | rtmsg or nhmsg | attributes: length 2, type 2, value, padded to 4 …
 */
import { type Ip, ipFromBytes, ipToBytes, type Prefix, prefixAddress, prefixFromBytes } from '#net';
import type { NextHop, NexthopObject, NexthopStep, Route, RouteStep } from '#felix';

const RTM = {
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
  newNexthop: 104,
  deleteNexthop: 105,
  getNexthop: 106,
} as const;
const NLM = { request: 1, ack: 4, dump: 0x300, replace: 0x100, exclusive: 0x200, create: 0x400 } as const;
const RTA = {
  dst: 1,
  oif: 4,
  gateway: 5,
  priority: 6,
  prefSource: 7,
  multipath: 9,
  table: 15,
  via: 18,
  nexthopId: 30,
} as const;
const NHA = { id: 1, group: 2, oif: 5, gateway: 6 } as const;
const MAIN = 254;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255;
const F_ONLINK = 4;
const F_DEAD_OR_LINKDOWN = 1 | 16;
const F_CLONED = 0x200;
const TYPES: Readonly<Record<number, Route['type']>> = {
  1: 'unicast',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
};
const TYPE_NUMBERS: Readonly<Record<Route['type'], number>> = {
  unicast: 1,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  other: 0,
};
const WRITE_FLAGS = { add: NLM.create | NLM.exclusive, replace: NLM.create | NLM.replace, delete: 0 } as const;

/** Everything of a route but its prefix: thousands share one. */
export type RouteShape = Omit<Route, 'prefix'>;
export type Indexes = (device: string) => number;
export type Names = (index: number) => string;

/** Fills one buffer with messages. */
export class MessageWriter {
  readonly #buffer = Buffer.alloc(1 << 17);
  #at = 0;
  #start = 0;

  get length(): number {
    return this.#at;
  }

  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#at);
    this.#at = 0;
    return bytes;
  }

  begin(type: number, flags: number, sequence: number): void {
    this.#start = this.#at;
    this.#buffer.writeUInt16LE(type, this.#at + 4);
    this.#buffer.writeUInt16LE(flags | NLM.request, this.#at + 6);
    this.#buffer.writeUInt32LE(sequence, this.#at + 8);
    this.#buffer.writeUInt32LE(0, this.#at + 12);
    this.#at += 16;
  }

  end(): void {
    this.#buffer.writeUInt32LE(this.#at - this.#start, this.#start);
  }

  /** Asks for an acknowledgement of the message written last. */
  askAck(): void {
    const at = this.#start + 6;
    this.#buffer.writeUInt16LE(this.#buffer.readUInt16LE(at) | NLM.ack, at);
  }

  bytes(...values: readonly number[]): void {
    for (const value of values) this.#buffer[this.#at++] = value;
  }

  uint32(value: number): void {
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  attribute(type: number, value: Uint8Array): void {
    this.#at = this.#buffer.writeUInt16LE(value.length + 4, this.#at);
    this.#at = this.#buffer.writeUInt16LE(type, this.#at);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    while ((this.#at & 3) !== 0) this.#buffer[this.#at++] = 0;
  }

  number(type: number, value: number): void {
    this.#at = this.#buffer.writeUInt16LE(8, this.#at);
    this.#at = this.#buffer.writeUInt16LE(type, this.#at);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  /** An attribute or a next hop whose length is known when `write` is done. */
  nested(type: number | undefined, write: () => void): void {
    const start = this.#at;
    if (type !== undefined) this.#buffer.writeUInt16LE(type, start + 2);
    if (type !== undefined) this.#at += 4;
    write();
    this.#buffer.writeUInt16LE(this.#at - start, start);
  }
}

export function writeRoute(
  writer: MessageWriter,
  step: { verb: RouteStep['verb']; prefix: string; shape: RouteShape; sequence: number },
  indexes: Indexes,
): void {
  const { verb, prefix, shape, sequence } = step;
  const isIpv6 = prefix.includes(':');
  const address = isIpv6 ? ipToBytes(prefixAddress(prefix as Prefix)) : undefined;
  const length = Number(prefix.slice(prefix.indexOf('/') + 1));
  const isDelete = verb === 'delete';
  const [only] = shape.nextHops;
  const isSingle = shape.group === undefined && shape.nextHops.length === 1;
  const scope = isDelete ? SCOPE_NOWHERE : shape.link && !isIpv6 ? SCOPE_LINK : 0;
  writer.begin(isDelete ? RTM.deleteRoute : RTM.newRoute, WRITE_FLAGS[verb], sequence);
  writer.bytes(isIpv6 ? 10 : 2, length, 0, 0, MAIN, shape.protocol, scope, isDelete ? 0 : TYPE_NUMBERS[shape.type]);
  writer.uint32(isSingle && only?.onlink === true && !isDelete ? F_ONLINK : 0);
  writer.attribute(RTA.dst, address ?? ipv4Bytes(prefix));
  writer.number(RTA.priority, shape.metric);
  if (!isDelete) {
    if (shape.source !== undefined) writer.attribute(RTA.prefSource, ipToBytes(shape.source));
    if (shape.group !== undefined) writer.number(RTA.nexthopId, shape.group);
    else if (isSingle && only !== undefined) {
      writer.number(RTA.oif, indexes(only.device));
      writeGateway(writer, only, isIpv6);
    } else if (shape.nextHops.length > 0) {
      writer.nested(RTA.multipath, () => {
        for (const hop of shape.nextHops) {
          writer.nested(undefined, () => {
            writer.bytes(0, 0, hop.onlink ? F_ONLINK : 0, 0);
            writer.uint32(indexes(hop.device));
            writeGateway(writer, hop, isIpv6);
          });
        }
      });
    }
  }
  writer.end();
}

function writeGateway(writer: MessageWriter, { gateway }: NextHop, isIpv6: boolean): void {
  if (gateway === undefined) return;
  const bytes = ipToBytes(gateway);
  if (bytes.length === 16 && !isIpv6) writer.attribute(RTA.via, Uint8Array.of(10, 0, ...bytes));
  else writer.attribute(RTA.gateway, bytes);
}

/** The four bytes of canonical text. */
function ipv4Bytes(prefix: string): Uint8Array {
  const bytes = new Uint8Array(4);
  let value = 0;
  let part = 0;
  for (let at = 0; part < 4; at += 1) {
    const code = prefix.charCodeAt(at);
    if (code >= 48 && code <= 57) value = value * 10 + code - 48;
    else {
      bytes[part++] = value;
      value = 0;
      if (code !== 46) break;
    }
  }
  return bytes;
}

export function writeNexthop(
  writer: MessageWriter,
  { verb, nexthop }: NexthopStep,
  sequence: number,
  indexes: Indexes,
): void {
  const { id, protocol, hop, members } = nexthop;
  const isDelete = verb === 'delete';
  const gateway = hop?.gateway === undefined || isDelete ? undefined : ipToBytes(hop.gateway);
  writer.begin(isDelete ? RTM.deleteNexthop : RTM.newNexthop, WRITE_FLAGS[verb], sequence);
  const family = gateway === undefined ? 0 : gateway.length === 16 ? 10 : 2;
  writer.bytes(family, 0, isDelete ? 0 : protocol, 0);
  writer.uint32(hop?.onlink === true && !isDelete ? F_ONLINK : 0);
  writer.number(NHA.id, id);
  if (!isDelete && hop === undefined) {
    const value = Buffer.alloc(8 * members.length);
    for (const [index, member] of members.entries()) value.writeUInt32LE(member, 8 * index);
    writer.attribute(NHA.group, value);
  }
  if (!isDelete && hop !== undefined) {
    writer.number(NHA.oif, indexes(hop.device));
    if (gateway !== undefined) writer.attribute(NHA.gateway, gateway);
  }
  writer.end();
}

export function routeDump(family: 4 | 6, sequence: number): Uint8Array {
  const writer = new MessageWriter();
  writer.begin(RTM.getRoute, NLM.dump, sequence);
  writer.bytes(family === 6 ? 10 : 2, 0, 0, 0, MAIN, 0, 0, 0);
  writer.uint32(0);
  writer.number(RTA.table, MAIN);
  writer.end();
  return writer.take();
}

export function nexthopDump(sequence: number): Uint8Array {
  const writer = new MessageWriter();
  writer.begin(RTM.getNexthop, NLM.dump, sequence);
  writer.bytes(0, 0, 0, 0);
  writer.uint32(0);
  writer.end();
  return writer.take();
}

/** One route of a dump, before its next hops are looked at. */
export interface RawRoute {
  readonly prefix: Prefix;
  readonly protocol: number;
  readonly metric: number;
  /** Id of its nexthop object; 0 = none. */
  readonly group: number;
  readonly type: number;
  readonly source: Ip | undefined;
  /** The whole of it. */
  shape(names: Names): RouteShape;
}

/** Reads a route; undefined = not of the main table. */
export function readRoute(body: Buffer): RawRoute | undefined {
  const isIpv6 = body[0] === 10;
  const length = body[1] ?? 0;
  const flags = body.readUInt32LE(8);
  let table = body[4] ?? 0;
  let destination: Buffer | undefined;
  let source: Buffer | undefined;
  let metric = 0;
  let group = 0;
  eachAttribute(body, 12, (type, from, to) => {
    if (type === RTA.dst) destination = body.subarray(from, to);
    else if (type === RTA.prefSource) source = body.subarray(from, to);
    else if (type === RTA.priority) metric = body.readUInt32LE(from);
    else if (type === RTA.nexthopId) group = body.readUInt32LE(from);
    else if (type === RTA.table) table = body.readUInt32LE(from);
  });
  if (table !== MAIN || (flags & F_CLONED) !== 0) return undefined;
  const d = destination;
  const prefix = isIpv6
    ? prefixFromBytes(6, d ?? new Uint8Array(16), 0, length)
    : ((d === undefined ? `0.0.0.0/${length}` : `${d[0]}.${d[1]}.${d[2]}.${d[3]}/${length}`) as Prefix);
  const protocol = body[5] ?? 0;
  const type = body[7] ?? 0;
  const from = source === undefined ? undefined : ipFromBytes(source);
  return {
    prefix,
    protocol,
    metric,
    group,
    type,
    source: from,
    shape(names) {
      const word = TYPES[type] ?? 'other';
      const hops = word === 'unicast' ? readHops(body, flags, names) : [];
      return {
        type: word,
        protocol,
        metric,
        link: body[6] === SCOPE_LINK,
        source: from,
        nextHops: hops.map(({ hop }) => hop),
        dead: hops.length > 0 && hops.every(({ dead }) => dead),
        ...(group === 0 ? {} : { group }),
      };
    },
  };
}

interface ReadHop {
  readonly hop: NextHop;
  readonly dead: boolean;
}

function readHops(body: Buffer, flags: number, names: Names): readonly ReadHop[] {
  const hops: ReadHop[] = [];
  let hasMany = false;
  eachAttribute(body, 12, (type, from, to) => {
    if (type !== RTA.multipath) return;
    hasMany = true;
    for (let at = from; at + 8 <= to; ) {
      const size = body.readUInt16LE(at);
      if (size < 8) break;
      hops.push(
        readHop(body.subarray(at, at + size), 8, { flags: body[at + 2] ?? 0, index: body.readInt32LE(at + 4), names }),
      );
      at += (size + 3) & ~3;
    }
  });
  if (hasMany) return hops;
  let index = 0;
  eachAttribute(body, 12, (type, from) => {
    if (type === RTA.oif) index = body.readUInt32LE(from);
  });
  return index === 0 ? [] : [readHop(body, 12, { flags, index, names })];
}

function readHop(bytes: Buffer, start: number, about: { flags: number; index: number; names: Names }): ReadHop {
  let gateway: Ip | undefined;
  eachAttribute(bytes, start, (type, from, to) => {
    if (type === RTA.gateway) gateway = ipFromBytes(bytes.subarray(from, to));
    else if (type === RTA.via) gateway = ipFromBytes(bytes.subarray(from + 2, to));
  });
  const onlink = (about.flags & F_ONLINK) !== 0;
  return { hop: { gateway, device: about.names(about.index), onlink }, dead: (about.flags & F_DEAD_OR_LINKDOWN) !== 0 };
}

export function readNexthop(body: Buffer, names: Names): NexthopObject {
  let id = 0;
  let index = 0;
  let gateway: Ip | undefined;
  let members: number[] = [];
  eachAttribute(body, 8, (type, from, to) => {
    if (type === NHA.id) id = body.readUInt32LE(from);
    else if (type === NHA.oif) index = body.readUInt32LE(from);
    else if (type === NHA.gateway) gateway = ipFromBytes(body.subarray(from, to));
    else if (type === NHA.group) {
      members = Array.from({ length: (to - from) / 8 }, (_, at) => body.readUInt32LE(from + 8 * at));
    }
  });
  const onlink = (body.readUInt32LE(4) & F_ONLINK) !== 0;
  const hop = index === 0 ? undefined : { gateway, device: names(index), onlink };
  return { id, protocol: body[2] ?? 0, hop, members: members.toSorted((a, b) => a - b) };
}

function eachAttribute(body: Buffer, start: number, take: (type: number, from: number, to: number) => void): void {
  for (let at = start; at + 4 <= body.length; ) {
    const length = body.readUInt16LE(at);
    if (length < 4) return;
    take(body.readUInt16LE(at + 2) & 0x3fff, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}
