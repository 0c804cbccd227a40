/**
 * Why a text is no address: the slow path behind parseIp and parsePrefix, run only after the scanner has said no, so
 * the fast path carries no message. Every answer names the offending part and, where one is likely, what was meant.
 */

import { isMapped, scanAddress, scanV4 } from './bits.ts';
import { AddressError, quote } from './errors.ts';

/** The error for a text that scanAddress refused. */
export function explainAddress(text: string): AddressError {
  const zone = text.indexOf('%');
  if (zone >= 0) {
    return new AddressError(
      'ADDRESS_ZONE',
      text,
      `a zone is no part of an address, expected ${quote(text.slice(0, zone))}`,
    );
  }
  const mapped = mappedTail(text);
  if (mapped !== undefined) {
    return new AddressError(
      'ADDRESS_MAPPED',
      text,
      `an IPv4-mapped address is ambiguous, expected the IPv4 address ${mapped}`,
    );
  }
  return new AddressError('ADDRESS_SYNTAX', text, reasonOf(text));
}

/** The dotted quad of an IPv4-mapped address in any spelling, such as 0:0:0:0:0:FFFF:192.0.2.1; else undefined. */
function mappedTail(text: string): string | undefined {
  const tail = text.lastIndexOf(':') + 1;
  const value = scanV4(text, tail, text.length);
  if (tail === 0 || value < 0) return undefined;
  const hexadecimal = `${text.slice(0, tail)}${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
  const bits = scanAddress(hexadecimal, 0, hexadecimal.length);
  return bits !== undefined && isMapped(bits) ? text.slice(tail) : undefined;
}

function reasonOf(text: string): string {
  if (text === '') return 'expected an IPv4 or IPv6 address, found nothing';
  if (/\s/.test(text)) return 'expected an address without white space';
  if (text.includes('/')) return 'expected an address without a prefix length';
  if (/[[\]]/.test(text)) return 'expected an address without brackets or port';
  if (text.includes(':')) return v6Reason(text);
  if (/^[\d.]+$/.test(text)) return v4Reason(text);
  return 'expected an IPv4 or IPv6 address';
}

function v4Reason(text: string): string {
  const octets = text.split('.');
  if (octets.length !== 4) return `expected four octets separated by dots, found ${octets.length}`;
  for (const octet of octets) {
    if (octet === '') return 'expected four octets, one is empty';
    if (octet.length > 1 && octet.startsWith('0')) {
      return `octet ${quote(octet)} has a leading zero (octal to some readers), expected a decimal number`;
    }
    if (Number(octet) > 255) return `octet ${quote(octet)} is out of range, expected 0 to 255`;
  }
  return 'expected an IPv4 address';
}

function v6Reason(text: string): string {
  const halves = text.split('::');
  if (halves.length > 2 || text.includes(':::')) return 'expected "::" at most once';
  if (/^:[^:]|[^:]:$/.test(text)) return 'expected no single colon at either end';
  let count = 0;
  for (const group of text.split(':')) {
    if (group === '') continue;
    if (group.includes('.')) {
      if (!text.endsWith(group)) return `dotted part ${quote(group)} must come last`;
      if (scanAddress(group, 0, group.length) === undefined) return `dotted part ${quote(group)}: ${v4Reason(group)}`;
      count += 2;
    } else if (!/^[\da-f]{1,4}$/i.test(group)) {
      return `group ${quote(group)} is not one to four hexadecimal digits`;
    } else {
      count++;
    }
  }
  return halves.length === 2
    ? `expected at most seven groups beside "::", found ${count}`
    : `expected eight groups or "::", found ${count}`;
}
