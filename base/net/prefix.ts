/**
 * IP prefixes as branded canonical strings, `address/length` with the host bits zero (RFC 4632 §3.1, RFC 4291 §2.3).
 * Invariant: two `Prefix` are the same block exactly when they are the same string. Reading refuses host bits and names
 * the prefix that was probably meant, since `10.0.1.7/16` may mean a host or a network. Splitting is lazy: an IPv6 /48
 * holds 2^80 addresses.
 */

import {
  type Bits,
  bitsFromBigInt,
  bitsFromBytes,
  bitsToBigInt,
  bitsToBytes,
  compareBits,
  type Family,
  formatBits,
  maskBits,
  type ScannedBits,
  sameLeading,
  scanAddress,
  v4Bits,
} from './bits.ts';
import { AddressError, quote } from './errors.ts';
import { explainAddress } from './explain.ts';
import { bitsOfIp, familyOf, type Ip, ipFromBits, maxLength, toBigInt } from './ip.ts';

declare const prefixBrand: unique symbol;

/** A canonical IPv4 or IPv6 prefix. Equality is `===`. */
export type Prefix = string & { readonly [prefixBrand]: true };

/** The address words and the length of a prefix (inside base/net only). */
export interface PrefixBits {
  readonly bits: Bits;
  readonly length: number;
}

interface ScannedPrefix extends PrefixBits {
  readonly bits: ScannedBits;
}

/** Reads `address/length`; the host bits must be zero. Throws AddressError (HOST_BITS names the right prefix). */
export function parsePrefix(text: string): Prefix {
  const scanned = scanPrefix(text);
  if (scanned === undefined) throw explainPrefix(text);
  const masked = maskBits(scanned.bits, scanned.length);
  if (compareBits(masked, scanned.bits) !== 0) {
    const meant = prefixFromBits(masked, scanned.length);
    const host = prefixFromBits(scanned.bits, maxLength(masked.family));
    throw new AddressError('HOST_BITS', text, `host bits are set, expected ${meant} (or ${host} for one address)`);
  }
  return scanned.bits.canonical ? (text as Prefix) : prefixFromBits(masked, scanned.length);
}

/** Reads a prefix like parsePrefix, or gives undefined. */
export function tryParsePrefix(text: string): Prefix | undefined {
  const scanned = scanPrefix(text);
  if (scanned === undefined) return undefined;
  if (compareBits(maskBits(scanned.bits, scanned.length), scanned.bits) !== 0) return undefined;
  return scanned.bits.canonical ? (text as Prefix) : prefixFromBits(scanned.bits, scanned.length);
}

/** The prefix of `length` that holds the address; host bits are cleared. Throws AddressError on a wrong length. */
export function makePrefix(ip: Ip, length: number): Prefix {
  const bits = bitsOfIp(ip);
  checkLength(bits.family, length, ip);
  return prefixFromBits(maskBits(bits, length), length);
}

/** The /32 or /128 of one address. */
export function hostPrefix(ip: Ip): Prefix {
  return `${ip}/${maxLength(familyOf(ip))}` as Prefix;
}

/** The first address of the prefix. */
export function prefixAddress(prefix: Prefix): Ip {
  return prefix.slice(0, prefix.lastIndexOf('/')) as Ip;
}

/** The length in bits: 0 to 32, or 0 to 128. */
export function prefixLength(prefix: Prefix): number {
  return Number(prefix.slice(prefix.lastIndexOf('/') + 1));
}

/** 4 or 6. */
export function prefixFamily(prefix: Prefix): Family {
  return prefix.includes(':') ? 6 : 4;
}

/**
 * The prefix of a BGP NLRI body: `ceil(length / 8)` bytes at `offset`, bits after `length` ignored (RFC 4271 §4.3).
 * Throws AddressError when the length is too large for the family or the bytes end early.
 */
export function prefixFromBytes(family: Family, bytes: Uint8Array, offset: number, length: number): Prefix {
  checkLength(family, length, `${family === 4 ? 'IPv4' : 'IPv6'} prefix bytes`);
  const needed = (length + 7) >>> 3;
  if (offset < 0 || offset + needed > bytes.length) {
    const found = Math.max(0, bytes.length - offset);
    throw new AddressError('ADDRESS_BYTES', `IPv${family}/${length}`, `expected ${needed} bytes, found ${found}`);
  }
  return prefixFromBits(maskBits(bitsFromBytes(family, bytes, offset, needed), length), length);
}

/** The `ceil(length / 8)` leading bytes of the prefix: a BGP NLRI body without its length octet. */
export function prefixToBytes(prefix: Prefix): Uint8Array {
  const { bits, length } = bitsOfPrefix(prefix);
  return bitsToBytes(bits, (length + 7) >>> 3);
}

/** True when every address of `inner` is in `outer`; equal prefixes contain each other, families never do. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  const a = bitsOfPrefix(outer);
  const b = bitsOfPrefix(inner);
  return a.length <= b.length && sameLeading(a.bits, b.bits, a.length);
}

/** True when the address is in the prefix. */
export function containsIp(prefix: Prefix, ip: Ip): boolean {
  const { bits, length } = bitsOfPrefix(prefix);
  return sameLeading(bits, bitsOfIp(ip), length);
}

/** True when the two share an address, which means that one contains the other. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  const x = bitsOfPrefix(a);
  const y = bitsOfPrefix(b);
  return sameLeading(x.bits, y.bits, Math.min(x.length, y.length));
}

/** How many addresses the prefix holds: 2^32 for 0.0.0.0/0, 2^128 for ::/0. */
export function addressCount(prefix: Prefix): bigint {
  return 1n << BigInt(maxLength(prefixFamily(prefix)) - prefixLength(prefix));
}

/** Address number `n` of the prefix, from 0. Throws AddressError when the prefix has fewer. */
export function nthAddress(prefix: Prefix, n: number | bigint): Ip {
  const { bits, length } = bitsOfPrefix(prefix);
  if (bits.family === 4 && typeof n === 'number') {
    if (Number.isInteger(n) && n >= 0 && n < 2 ** (32 - length)) return ipFromBits(v4Bits((bits.w0 >>> 0) + n));
    throw new AddressError(
      'OUT_OF_RANGE',
      prefix,
      `has no address number ${n}, expected 0 to ${2 ** (32 - length) - 1}`,
    );
  }
  return ipFromBits(offsetBits({ prefix, bits, index: toBigInt(n, prefix), count: addressCount(prefix), step: 0 }));
}

/**
 * The number of the address in the prefix, from 0: the inverse of nthAddress.
 * Throws AddressError when it is outside, or further in than 2^53 - 1.
 */
export function ordinalOf(prefix: Prefix, ip: Ip): number {
  const { bits, length } = bitsOfPrefix(prefix);
  const at = bitsOfIp(ip);
  if (!sameLeading(bits, at, length)) throw new AddressError('OUT_OF_RANGE', ip, `is not inside ${prefix}`);
  if (at.family === 4) return (at.w0 >>> 0) - (bits.w0 >>> 0);
  const ordinal = Number(bitsToBigInt(at) - bitsToBigInt(bits));
  if (Number.isSafeInteger(ordinal)) return ordinal;
  throw new AddressError('OUT_OF_RANGE', ip, `is too far into ${prefix} for an ordinal, expected less than 2^53`);
}

/** How many prefixes of `length` the prefix holds. Throws AddressError when `length` is shorter than its own. */
export function subprefixCount(prefix: Prefix, length: number): bigint {
  const own = prefixLength(prefix);
  checkLength(prefixFamily(prefix), length, prefix);
  if (length < own)
    throw new AddressError('PREFIX_LENGTH', prefix, `cannot be split into the shorter length /${length}`);
  return 1n << BigInt(length - own);
}

/** Prefix number `index` of `length` inside the prefix, from 0. Throws AddressError when there are fewer. */
export function nthSubprefix(prefix: Prefix, length: number, index: number | bigint): Prefix {
  const count = subprefixCount(prefix, length);
  const { bits } = bitsOfPrefix(prefix);
  const step = maxLength(bits.family) - length;
  return prefixFromBits(offsetBits({ prefix, bits, index: toBigInt(index, prefix), count, step }), length);
}

/** All prefixes of `length` inside the prefix, in order and lazily. Throws AddressError at once on a wrong length. */
export function splitPrefix(prefix: Prefix, length: number): Iterable<Prefix> {
  const count = subprefixCount(prefix, length);
  return {
    *[Symbol.iterator]() {
      for (let index = 0n; index < count; index++) yield nthSubprefix(prefix, length, index);
    },
  };
}

/** Total order for sorting: IPv4 before IPv6, then by first address, then shorter (covering) before longer. */
export function comparePrefix(a: Prefix, b: Prefix): number {
  return a === b ? 0 : comparePrefixBits(bitsOfPrefix(a), bitsOfPrefix(b));
}

/** comparePrefix on the words (inside base/net only). */
export function comparePrefixBits(a: PrefixBits, b: PrefixBits): number {
  const order = compareBits(a.bits, b.bits);
  return order === 0 ? a.length - b.length : order;
}

/** The words and length of a prefix (inside base/net only). Throws AddressError for text that was cast, not parsed. */
export function bitsOfPrefix(prefix: Prefix): PrefixBits {
  const scanned = scanPrefix(prefix);
  if (scanned === undefined) throw explainPrefix(prefix);
  return scanned;
}

/** The canonical text of words whose host bits are zero (inside base/net only). */
export function prefixFromBits(bits: Bits, length: number): Prefix {
  return `${formatBits(bits)}/${length}` as Prefix;
}

function scanPrefix(text: string): ScannedPrefix | undefined {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return undefined;
  const length = scanLength(text, slash + 1);
  if (length < 0) return undefined;
  const bits = scanAddress(text, 0, slash);
  return bits === undefined || length > maxLength(bits.family) ? undefined : { bits, length };
}

/** One to three decimal digits without a leading zero, to the end of the text; -1 for anything else. */
function scanLength(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(start) === 48)) return -1;
  let length = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

function explainPrefix(text: string): AddressError {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const bits = scanAddress(address, 0, address.length);
  if (bits === undefined) {
    const { code, message } = explainAddress(address);
    return new AddressError(code === 'ADDRESS_SYNTAX' ? 'PREFIX_SYNTAX' : code, text, `address ${message}`);
  }
  const most = maxLength(bits.family);
  if (slash < 0) return new AddressError('PREFIX_SYNTAX', text, `expected a prefix length, such as ${text}/${most}`);
  const length = text.slice(slash + 1);
  const code = /^\d+$/.test(length) ? 'PREFIX_LENGTH' : 'PREFIX_SYNTAX';
  return new AddressError(code, text, `length ${quote(length)} is not a decimal number from 0 to ${most}`);
}

function checkLength(family: Family, length: number, of: string): void {
  if (Number.isInteger(length) && length >= 0 && length <= maxLength(family)) return;
  throw new AddressError('PREFIX_LENGTH', of, `length ${length} is not an integer from 0 to ${maxLength(family)}`);
}

interface Offset {
  readonly prefix: Prefix;
  readonly bits: Bits;
  readonly index: bigint;
  readonly count: bigint;
  readonly step: number;
}

/** The words `index` steps of 2^step addresses into the prefix. */
function offsetBits({ prefix, bits, index, count, step }: Offset): Bits {
  const at =
    index < 0n || index >= count
      ? undefined
      : bitsFromBigInt(bits.family, bitsToBigInt(bits) + (index << BigInt(step)));
  if (at === undefined) {
    throw new AddressError('OUT_OF_RANGE', prefix, `has no part number ${index}, expected 0 to ${count - 1n}`);
  }
  return at;
}
