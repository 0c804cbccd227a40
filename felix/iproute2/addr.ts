/** An address on an interface (rtnetlink RTM_NEWADDR, ip-address(8)) as batch lines; reading is `decodeLinks`. */
import { familyOf, type Ip } from '#net';
import { deviceName } from './route.ts';

/** `addr replace`, without duplicate address detection: addresses come from IPAM, and a pod cannot wait a second. */
export function replaceAddressLine(ip: Ip, length: number, device: string): string {
  return `addr replace ${ip}/${length} dev ${deviceName(device)}${familyOf(ip) === 6 ? ' nodad' : ''}`;
}

export function deleteAddressLine(ip: Ip, length: number, device: string): string {
  return `addr del ${ip}/${length} dev ${deviceName(device)}`;
}
