/** The words of IP, pure: addresses, prefixes and a longest-match map. This is what `#net` exports, nothing else. */

export type { Family } from './bits.ts';
export { AddressError, type AddressErrorCode } from './errors.ts';
export {
  addToIp,
  compareIp,
  familyOf,
  type Ip,
  ipFromBigInt,
  ipFromBytes,
  ipToBigInt,
  ipToBytes,
  isIp,
  maxLength,
  parseIp,
  tryParseIp,
} from './ip.ts';
export {
  addressCount,
  comparePrefix,
  contains,
  containsIp,
  hostPrefix,
  makePrefix,
  nthAddress,
  nthSubprefix,
  ordinalOf,
  overlaps,
  parsePrefix,
  type Prefix,
  prefixAddress,
  prefixFamily,
  prefixFromBytes,
  prefixLength,
  prefixToBytes,
  splitPrefix,
  subprefixCount,
  tryParsePrefix,
} from './prefix.ts';
export { PrefixMap, type PrefixMatch } from './prefix-map.ts';
export { summarise } from './summarise.ts';
