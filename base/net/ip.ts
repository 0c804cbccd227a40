/**
 * IP addresses as branded canonical strings: IPv4 dotted quad, IPv6 by RFC 5952 §4, always hexadecimal. Invariant: two
 * `Ip` are the same address exactly when they are the same string, so `===`, Map and Set work on them. Reading is
 * strict: no leading zeros, no zone, no brackets, no IPv4-mapped dotted form (`::ffff:10.0.0.1` is one host to some
 * readers and another to others). An embedded dotted quad elsewhere (`64:ff9b::192.0.2.1`) is read and written in
 * hexadecimal, as is a mapped address that arrives as bytes or in hexadecimal: bytes always have a text.
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
  scanAddress,
  v4Bits,
} from './bits.ts';
import { AddressError } from './errors.ts';
import { explainAddress } from './explain.ts';

declare const ipBrand: unique symbol;

/** A canonical IPv4 or IPv6 address. Equality is `===`. */
export type Ip = string & { readonly [ipBrand]: true };

/** Reads an address. RFC 4291 §2.2, strict; the result is canonical. Throws AddressError. About 50 ns for IPv4. */
export function parseIp(text: string): Ip {
  const ip = tryParseIp(text);
  if (ip === undefined) throw explainAddress(text);
  return ip;
}

/** Reads an address like parseIp, or gives undefined. */
export function tryParseIp(text: string): Ip | undefined {
  const bits = scanAddress(text, 0, text.length);
  if (bits === undefined) return undefined;
  return bits.canonical ? (text as Ip) : ipFromBits(bits);
}

/** True when the text is an address in its canonical form. */
export function isIp(text: string): text is Ip {
  return tryParseIp(text) === text;
}

/** 4 or 6. */
export function familyOf(ip: Ip): Family {
  return ip.includes(':') ? 6 : 4;
}

/** 32 for IPv4, 128 for IPv6: the length of a host prefix. */
export function maxLength(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The 4 or 16 bytes of the address in network order. */
export function ipToBytes(ip: Ip): Uint8Array {
  const bits = bitsOfIp(ip);
  return bitsToBytes(bits, bits.family === 4 ? 4 : 16);
}

/** The address of 4 or 16 bytes in network order; every value has one. Throws AddressError on any other length. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new AddressError('ADDRESS_BYTES', hexOf(bytes), `expected 4 or 16 bytes, found ${bytes.length}`);
  }
  return ipFromBits(bitsFromBytes(bytes.length === 4 ? 4 : 6, bytes, 0, bytes.length));
}

/** Total order for sorting: IPv4 before IPv6, then numeric. */
export function compareIp(a: Ip, b: Ip): number {
  return a === b ? 0 : compareBits(bitsOfIp(a), bitsOfIp(b));
}

/** The address `n` after this one (before it when negative). Throws AddressError when it leaves the family's range. */
export function addToIp(ip: Ip, n: number | bigint): Ip {
  const bits = bitsOfIp(ip);
  if (bits.family === 4 && typeof n === 'number' && Number.isSafeInteger(n)) {
    const sum = (bits.w0 >>> 0) + n;
    if (sum >= 0 && sum <= 0xffffffff) return ipFromBits(v4Bits(sum));
    throw outOfFamily(ip, n);
  }
  const sum = bitsFromBigInt(bits.family, bitsToBigInt(bits) + toBigInt(n, ip));
  if (sum === undefined) throw outOfFamily(ip, n);
  return ipFromBits(sum);
}

/** The address as a number of 32 or 128 bits. Not for Map keys: BigInt keys hash by their low 64 bits only. */
export function ipToBigInt(ip: Ip): bigint {
  return bitsToBigInt(bitsOfIp(ip));
}

/** The address of a number. Throws AddressError when it is negative or too large for the family. */
export function ipFromBigInt(family: Family, n: bigint): Ip {
  const bits = bitsFromBigInt(family, n);
  if (bits === undefined) throw new AddressError('OUT_OF_RANGE', String(n), `no IPv${family} address has this number`);
  return ipFromBits(bits);
}

/** The canonical text of the words (inside base/net only). */
export function ipFromBits(bits: Bits): Ip {
  return formatBits(bits) as Ip;
}

/** The words of an address (inside base/net only). Throws AddressError for text that was cast, not parsed. */
export function bitsOfIp(ip: Ip): Bits {
  const bits = scanAddress(ip, 0, ip.length);
  if (bits === undefined) throw explainAddress(ip);
  return bits;
}

/** An integer argument as bigint (inside base/net only). Throws AddressError for fractions and unsafe numbers. */
export function toBigInt(n: number | bigint, of: string): bigint {
  if (typeof n === 'bigint') return n;
  if (!Number.isSafeInteger(n)) throw new AddressError('OUT_OF_RANGE', of, `expected a safe integer, found ${n}`);
  return BigInt(n);
}

function outOfFamily(ip: Ip, n: number | bigint): AddressError {
  return new AddressError('OUT_OF_RANGE', ip, `adding ${n} leaves the IPv${familyOf(ip)} address space`);
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 32), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
