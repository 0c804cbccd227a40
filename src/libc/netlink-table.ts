/**
 * The main routing table and the nexthop objects as one thread sees them by rtnetlink: writes in batches, reads by dumps,
 * and remembers what it last read or wrote, so that a reading reports only what differs. For the thread of
 * `netlink-worker.ts`: every call waits for the kernel.
 */
import type { NexthopObject, NexthopStep, Route, RouteOwnership, RouteStep } from '#felix';
import type { CLibrary } from './library.ts';
import {
  MessageWriter,
  nexthopDump,
  type RawRoute,
  readNexthop,
  readRoute,
  routeDump,
  type RouteShape,
  writeNexthop,
  writeRoute,
} from './netlink-message.ts';
import { NetlinkSocket, type Refusal } from './netlink-socket.ts';
import { type PackedChanges, Shapes } from './netlink-protocol.ts';

/** Messages before an acknowledgement, and bytes, of which the writer has twice as many. */
const BATCH = 256;
const BATCH_BYTES = 1 << 16;
const DUMP_TRIES = 3;
const ESRCH = 3;
const ENOENT = 2;
/** In the memory of what is there: nobody knows. */
const UNKNOWN = -1;
/** In a packed change: nothing of ours. */
const NOTHING = -1;

export interface TableReading {
  readonly changes: PackedChanges;
  readonly strays: readonly Route[];
  readonly foreign: readonly Route[];
  readonly nexthops: ReadonlyMap<number, NexthopObject>;
}

interface Write {
  readonly verb: RouteStep['verb'];
  readonly prefix: string;
  readonly shape: RouteShape;
}

export class NetlinkTable {
  readonly #socket: NetlinkSocket;
  readonly #ownership: RouteOwnership;
  readonly #writer = new MessageWriter();
  readonly #nameToIndex: (name: string) => number;
  readonly #indexToName: (index: number) => string;
  readonly #shapes = new Shapes();
  /** Prefix → shape, as last read and written since. */
  #known = new Map<string, number>();
  #sequence = 0;

  constructor(library: CLibrary, ownership: RouteOwnership) {
    this.#socket = new NetlinkSocket(library);
    this.#ownership = ownership;
    const toIndex = library.declare('uint32_t if_nametoindex(const char *name)');
    const toName = library.declare('void *if_indextoname(uint32_t index, void *name)');
    const name = Buffer.alloc(16);
    this.#nameToIndex = (text) => toIndex(text);
    this.#indexToName = (index) => (toName(index, name) === null ? '' : name.toString('latin1', 0, name.indexOf(0)));
  }

  /** Applies in order; refusals by index. */
  applyRoutes(writes: readonly Write[]): ReadonlyMap<number, string> {
    const indexes = this.#indexes();
    const refused = this.#batches(writes.length, (at, sequence) => {
      const write = writes[at];
      if (write !== undefined) writeRoute(this.#writer, { ...write, sequence }, indexes);
    });
    const words = new Map<number, string>();
    for (const [at, { verb, prefix, shape }] of writes.entries()) {
      const refusal = refused.get(at);
      // A leftover under another metric is not the prefix's own route.
      if (shape.metric === this.#ownership.metric) {
        if (refusal !== undefined) this.#known.set(prefix, UNKNOWN);
        else if (verb === 'delete') this.#known.delete(prefix);
        else this.#known.set(prefix, this.#shapes.of(shape));
      }
      if (refusal !== undefined && !(verb === 'delete' && refusal.errno === ESRCH)) words.set(at, refusal.message);
    }
    return words;
  }

  applyNexthops(steps: readonly NexthopStep[]): ReadonlyMap<number, string> {
    const indexes = this.#indexes();
    const refused = this.#batches(steps.length, (at, sequence) => {
      const step = steps[at];
      if (step !== undefined) writeNexthop(this.#writer, step, sequence, indexes);
    });
    const isGone = (at: number, { errno }: Refusal) => steps[at]?.verb === 'delete' && errno === ENOENT;
    return new Map([...refused].flatMap(([at, refusal]) => (isGone(at, refusal) ? [] : [[at, refusal.message]])));
  }

  /** Reads everything; `isFresh` = reports all of ours. */
  read(isFresh: boolean): TableReading {
    const names = this.#names();
    const seen = new Map<string, number>();
    const strays: Route[] = [];
    const foreign: Route[] = [];
    const byGroup = new Map<string, number>();
    const take = (raw: RawRoute) => {
      const { protocol, metric, group, type, prefix } = raw;
      if (protocol !== this.#ownership.protocol) foreign.push({ prefix, ...raw.shape(names) });
      else if (metric !== this.#ownership.metric || seen.has(prefix)) strays.push({ prefix, ...raw.shape(names) });
      else if (group === 0) seen.set(prefix, this.#shapes.of(raw.shape(names)));
      else {
        const key = `${type} ${group} ${raw.source ?? ''}`;
        let shape = byGroup.get(key);
        if (shape === undefined) byGroup.set(key, (shape = this.#shapes.of(raw.shape(names))));
        seen.set(prefix, shape);
      }
    };
    for (const family of [4, 6] as const) this.#dumpRoutes(family, take, { seen, strays, foreign });
    const changes = this.#shapes.pack(this.#differences(isFresh ? new Map() : this.#known, seen));
    this.#known = seen;
    return { changes, strays, foreign, nexthops: this.#nexthops(names) };
  }

  close(): void {
    this.#socket.close();
  }

  *#differences(
    known: ReadonlyMap<string, number>,
    seen: ReadonlyMap<string, number>,
  ): Generator<readonly [string, number]> {
    for (const [prefix, shape] of seen) if (known.get(prefix) !== shape) yield [prefix, shape];
    for (const prefix of known.keys()) if (!seen.has(prefix)) yield [prefix, NOTHING];
  }

  /** A dump that the table changed under is taken again; after the last try what was lost comes with the next event. */
  #dumpRoutes(
    family: 4 | 6,
    take: (raw: RawRoute) => void,
    into: { seen: Map<string, number>; strays: Route[]; foreign: Route[] },
  ): void {
    const isFamily = (prefix: string) => prefix.includes(':') === (family === 6);
    for (let attempt = 1; ; attempt += 1) {
      const isWhole = this.#socket.dump(routeDump(family, this.#next()), (_, body) => {
        const raw = readRoute(body);
        if (raw !== undefined) take(raw);
      });
      if (isWhole || attempt === DUMP_TRIES) return;
      for (const prefix of into.seen.keys()) if (isFamily(prefix)) into.seen.delete(prefix);
      for (const list of [into.strays, into.foreign])
        list.splice(0, list.length, ...list.filter(({ prefix }) => !isFamily(prefix)));
    }
  }

  #nexthops(names: (index: number) => string): ReadonlyMap<number, NexthopObject> {
    const nexthops = new Map<number, NexthopObject>();
    if (!this.#ownership.nexthops) return nexthops;
    this.#socket.dump(nexthopDump(this.#next()), (_, body) => {
      const nexthop = readNexthop(body, names);
      nexthops.set(nexthop.id, nexthop);
    });
    return nexthops;
  }

  #batches(count: number, write: (at: number, sequence: number) => void): Map<number, Refusal> {
    const refused = new Map<number, Refusal>();
    for (let from = 0; from < count; ) {
      const first = this.#sequence + 1;
      let at = from;
      for (; at < count && at - from < BATCH && this.#writer.length < BATCH_BYTES; at += 1) write(at, this.#next());
      this.#writer.askAck();
      const bySequence = new Map<number, Refusal>();
      this.#socket.request(this.#writer.take(), this.#sequence, bySequence);
      for (const [sequence, refusal] of bySequence) refused.set(from + sequence - first, refusal);
      from = at;
    }
    return refused;
  }

  #next(): number {
    this.#sequence = this.#sequence >= 0x7fff_0000 ? 1 : this.#sequence + 1;
    return this.#sequence;
  }

  /** Asked anew at every call: an interface may be another one under the same name. */
  #indexes(): (device: string) => number {
    const known = new Map<string, number>();
    return (device) => {
      let index = known.get(device);
      // An index nobody has: the kernel then says that there is no such device.
      if (index === undefined) known.set(device, (index = this.#nameToIndex(device) || 0x7fff_ffff));
      return index;
    };
  }

  #names(): (index: number) => string {
    const known = new Map<number, string>();
    return (index) => {
      let name = known.get(index);
      if (name === undefined) known.set(index, (name = this.#indexToName(index)));
      return name;
    };
  }
}
