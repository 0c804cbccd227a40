/**
 * The CEL environment of Kubernetes: the standard library, the strings extension, and the ip and cidr libraries.
 *
 * IP and CIDR values are one-entry maps keyed by the name Kubernetes gives the type (net.IP, net.CIDR), so that equality is
 * that of their canonical text. The invariant: text that a kube-apiserver refuses (a zone, an IPv4-mapped address, leading
 * zeros) is refused here too, since #net is as strict.
 */
import { type CelEnv, type CelFunc, type CelMap, CelScalar, celEnv, celFunc, celMethod, mapType } from '@bufbuild/cel';
import { strings } from '@bufbuild/cel/ext';
import {
  contains,
  containsIp,
  familyOf,
  type Ip,
  ipToBytes,
  makePrefix,
  maxLength,
  type Prefix,
  parseIp,
  tryParseIp,
} from '#net';

const { STRING, BOOL, INT, DYN } = CelScalar;
const OPAQUE = mapType(DYN, DYN);
const IP = 'net.IP';
const CIDR = 'net.CIDR';

/** An address with a prefix length, host bits kept: cidr('10.0.0.1/8') is not its own masked(). */
interface Cidr {
  readonly ip: Ip;
  readonly length: number;
}

function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  const ip = tryParseIp(match?.[1] ?? '');
  const length = Number(match?.[2]);
  return ip === undefined || length > maxLength(familyOf(ip)) ? undefined : { ip, length };
}

function ipValue(ip: Ip): Map<string, string> {
  return new Map([[IP, ip]]);
}

function cidrValue(cidr: Cidr): Map<string, string> {
  return new Map([[CIDR, `${cidr.ip}/${cidr.length}`]]);
}

function textOf(value: CelMap, type: string): string {
  const text = value.get(type);
  if (typeof text !== 'string') throw new Error(`expected a value of type ${type}`);
  return text;
}

function ipOf(value: CelMap): Ip {
  return parseIp(textOf(value, IP));
}

function requireCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new Error(`network address parse error during conversion from string: "${text}"`);
  return cidr;
}

function cidrOf(value: CelMap): Cidr {
  return requireCidr(textOf(value, CIDR));
}

function prefixOf(cidr: Cidr): Prefix {
  return makePrefix(cidr.ip, cidr.length);
}

function isIpv4(ip: Ip, test: (bytes: Uint8Array) => boolean): boolean {
  return familyOf(ip) === 4 && test(ipToBytes(ip));
}

function isIpv6(ip: Ip, test: (bytes: Uint8Array) => boolean): boolean {
  return familyOf(ip) === 6 && test(ipToBytes(ip));
}

function isUnspecified(ip: Ip): boolean {
  return ipToBytes(ip).every((byte) => byte === 0);
}

function isLoopback(ip: Ip): boolean {
  return isIpv4(ip, (b) => b[0] === 127) || ip === '::1';
}

function isMulticast(ip: Ip): boolean {
  return isIpv4(ip, (b) => ((b[0] ?? 0) & 0xf0) === 0xe0) || isIpv6(ip, (b) => b[0] === 0xff);
}

function isLinkLocalUnicast(ip: Ip): boolean {
  return (
    isIpv4(ip, (b) => b[0] === 169 && b[1] === 254) || isIpv6(ip, (b) => b[0] === 0xfe && ((b[1] ?? 0) & 0xc0) === 0x80)
  );
}

function isLinkLocalMulticast(ip: Ip): boolean {
  return (
    isIpv4(ip, (b) => b[0] === 224 && b[1] === 0 && b[2] === 0) ||
    isIpv6(ip, (b) => b[0] === 0xff && ((b[1] ?? 0) & 0x0f) === 0x02)
  );
}

function isGlobalUnicast(ip: Ip): boolean {
  return (
    ip !== '255.255.255.255' && !isUnspecified(ip) && !isLoopback(ip) && !isMulticast(ip) && !isLinkLocalUnicast(ip)
  );
}

function ipTest(name: string, test: (ip: Ip) => boolean): CelFunc {
  return celMethod(name, OPAQUE, [], BOOL, function () {
    return test(ipOf(this));
  });
}

function coversIp(outer: CelMap, inner: Ip): boolean {
  const cidr = cidrOf(outer);
  return familyOf(cidr.ip) === familyOf(inner) && containsIp(prefixOf(cidr), inner);
}

function coversCidr(outer: CelMap, inner: Cidr): boolean {
  const cidr = cidrOf(outer);
  return familyOf(cidr.ip) === familyOf(inner.ip) && contains(prefixOf(cidr), prefixOf(inner));
}

const IP_FUNCTIONS: readonly CelFunc[] = [
  celFunc('isIP', [STRING], BOOL, (text) => tryParseIp(text) !== undefined),
  celFunc('ip', [STRING], OPAQUE, (text) => ipValue(parseIp(text))),
  celFunc('ip.isCanonical', [STRING], BOOL, (text) => parseIp(text) === text),
  celMethod('family', OPAQUE, [], INT, function () {
    return BigInt(familyOf(ipOf(this)));
  }),
  ipTest('isUnspecified', isUnspecified),
  ipTest('isLoopback', isLoopback),
  ipTest('isLinkLocalUnicast', isLinkLocalUnicast),
  ipTest('isLinkLocalMulticast', isLinkLocalMulticast),
  ipTest('isGlobalUnicast', isGlobalUnicast),
];

const CIDR_FUNCTIONS: readonly CelFunc[] = [
  celFunc('isCIDR', [STRING], BOOL, (text) => parseCidr(text) !== undefined),
  celFunc('cidr', [STRING], OPAQUE, (text) => cidrValue(requireCidr(text))),
  celMethod('ip', OPAQUE, [], OPAQUE, function () {
    return ipValue(cidrOf(this).ip);
  }),
  celMethod('masked', OPAQUE, [], OPAQUE, function () {
    return new Map([[CIDR, prefixOf(cidrOf(this))]]);
  }),
  celMethod('prefixLength', OPAQUE, [], INT, function () {
    return BigInt(cidrOf(this).length);
  }),
  celMethod('containsIP', OPAQUE, [STRING], BOOL, function (text) {
    return coversIp(this, parseIp(text));
  }),
  celMethod('containsIP', OPAQUE, [OPAQUE], BOOL, function (ip) {
    return coversIp(this, ipOf(ip));
  }),
  celMethod('containsCIDR', OPAQUE, [STRING], BOOL, function (text) {
    return coversCidr(this, requireCidr(text));
  }),
  celMethod('containsCIDR', OPAQUE, [OPAQUE], BOOL, function (cidr) {
    return coversCidr(this, cidrOf(cidr));
  }),
  celFunc('string', [OPAQUE], STRING, (value) => textOf(value, value.has(IP) ? IP : CIDR)),
];

/** A fresh environment; it holds no state, one per process is enough. */
export function createCelEnv(): CelEnv {
  return celEnv({ funcs: [...strings, ...IP_FUNCTIONS, ...CIDR_FUNCTIONS] });
}
