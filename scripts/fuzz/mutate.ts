/**
 * Makes bad BGP messages out of good ones. Half of the changes know the format (attributes swapped, doubled, with other
 * flags and lengths, fields whose length lies), because blind ones seldom get past the header.
 */

export type Random = () => number;

/** A seeded generator (mulberry32): the same seed always gives the same run. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const EDGES = [
  0, 1, 2, 3, 4, 15, 16, 23, 24, 31, 32, 33, 63, 64, 127, 128, 129, 0x40, 0x80, 0xc0, 0xd0, 0xe0, 254, 255,
];
const HEADER = 19;
const LONGEST = 65_535;

/** One to six changes of a message, its header made whole again most of the time. */
export function mutate(bytes: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  let made: Uint8Array = bytes.slice();
  const changes = 1 + below(6, random);
  for (let index = 0; index < changes; index++) made = change(made, others, random);
  made = made.subarray(0, LONGEST);
  if (random() < 0.85) repairHeader(made);
  return made;
}

function below(limit: number, random: Random): number {
  return Math.floor(random() * limit);
}

function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items[below(items.length, random)];
}

function change(bytes: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  if (bytes[18] === 2 && random() < 0.6)
    return changeAttributes(bytes, others, random) ?? changeBytes(bytes, others, random);
  return changeBytes(bytes, others, random);
}

function changeBytes(bytes: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  const body = Math.max(1, bytes.length - HEADER);
  const at = Math.min(bytes.length, (random() < 0.9 ? HEADER : 0) + below(body, random));
  const count = 1 + below(random() < 0.9 ? 8 : 300, random);
  const noise = Uint8Array.from({ length: count }, () =>
    random() < 0.5 ? below(256, random) : (pick(EDGES, random) ?? 0),
  );
  switch (below(7, random)) {
    case 0: // flip a bit
      bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8, random));
      return bytes;
    case 1: // an edge value
      bytes[at] = pick(EDGES, random) ?? 0;
      return bytes;
    case 2: // insert
      return join(bytes.subarray(0, at), noise, bytes.subarray(at));
    case 3: // delete
      return join(bytes.subarray(0, at), bytes.subarray(at + count));
    case 4: // double
      return join(bytes.subarray(0, at + count), bytes.subarray(at));
    case 5: // cut
      return bytes.slice(0, at);
    default: {
      // end as another message does
      const other = pick(others, random) ?? bytes;
      return join(bytes.subarray(0, at), other.subarray(below(other.length, random)));
    }
  }
}

/** Works on the list of attributes of an UPDATE; undefined when there is none to be found. */
function changeAttributes(bytes: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array | undefined {
  const own = splitUpdate(bytes);
  const other = splitUpdate(pick(others, random) ?? bytes);
  if (own === undefined) return undefined;
  const items = [...own.attributes];
  const at = below(items.length + 1, random);
  const item = items[at];
  switch (below(7, random)) {
    case 0: // one more, of another message
      items.splice(at, 0, pick(other?.attributes ?? [], random) ?? Uint8Array.of(0xc0, below(256, random), 0));
      break;
    case 1: // one less
      items.splice(at, 1);
      break;
    case 2: // twice
      if (item !== undefined) items.splice(below(items.length, random), 0, item);
      break;
    case 3: // other flags
      if (item !== undefined) items[at] = withByte(item, 0, (item[0] ?? 0) ^ (1 << below(8, random)));
      break;
    case 4: // other code
      if (item !== undefined) items[at] = withByte(item, 1, below(44, random));
      break;
    case 5: // a value longer or shorter, its length right
      if (item !== undefined) items[at] = resized(item, random);
      break;
    default: // prefixes of another message
      return assemble(other?.withdrawn ?? own.withdrawn, items, random() < 0.5 ? (other?.nlri ?? own.nlri) : own.nlri);
  }
  return assemble(own.withdrawn, items, own.nlri);
}

function resized(item: Uint8Array, random: Random): Uint8Array {
  const head = (item[0] ?? 0) & 0x10 ? 4 : 3;
  const value = item.subarray(head);
  const length = random() < 0.8 ? Math.max(0, value.length + below(9, random) - 4) : below(4000, random);
  const next = Uint8Array.from({ length }, (_, index) => value[index % (value.length || 1)] ?? below(256, random));
  const flags = (item[0] ?? 0) | 0x10;
  return join(Uint8Array.of(flags, item[1] ?? 0, length >> 8, length & 0xff), next);
}

interface Split {
  readonly withdrawn: Uint8Array;
  readonly attributes: readonly Uint8Array[];
  readonly nlri: Uint8Array;
}

function splitUpdate(bytes: Uint8Array): Split | undefined {
  const withdrawnEnd = HEADER + 2 + u16(bytes, HEADER);
  const start = withdrawnEnd + 2;
  const end = start + u16(bytes, withdrawnEnd);
  if (bytes[18] !== 2 || end > bytes.length) return undefined;
  const attributes: Uint8Array[] = [];
  for (let at = start; at < end; ) {
    const extended = ((bytes[at] ?? 0) & 0x10) !== 0;
    const next = at + (extended ? 4 + u16(bytes, at + 2) : 3 + (bytes[at + 2] ?? 0));
    attributes.push(bytes.slice(at, Math.min(next, end)));
    at = next;
  }
  return { withdrawn: bytes.slice(HEADER + 2, withdrawnEnd), attributes, nlri: bytes.slice(end) };
}

function assemble(withdrawn: Uint8Array, attributes: readonly Uint8Array[], nlri: Uint8Array): Uint8Array {
  const list = join(...attributes);
  const lengths = [withdrawn.length, list.length].map((length) => Uint8Array.of((length >> 8) & 0xff, length & 0xff));
  const head = new Uint8Array(HEADER).fill(0xff, 0, 16);
  head[18] = 2;
  const made = join(head, lengths[0] ?? head, withdrawn, lengths[1] ?? head, list, nlri);
  repairHeader(made);
  return made;
}

function repairHeader(bytes: Uint8Array): void {
  if (bytes.length < HEADER) return;
  bytes.fill(0xff, 0, 16);
  bytes[16] = (bytes.length >> 8) & 0xff;
  bytes[17] = bytes.length & 0xff;
}

function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const made = bytes.slice();
  made[at] = value;
  return made;
}

function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const made = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
}
