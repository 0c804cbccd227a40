// What the plugin prints: success types of the CNI specification per cniVersion. Pure.
//
// 0.3.1 and 0.4.0 name the family of each address (`version`); 1.0.0 dropped the field; 1.1.0 added `mtu` to interfaces.
import type { AddResult } from './verbs.ts';
import type { CniVersion } from './wire.ts';

/** The ADD result in the words of `version`. Interface 0 is on the host, interface 1 (the addresses') in the pod. */
export function toCniResult(version: CniVersion, result: AddResult): unknown {
  const named = version === '0.3.1' || version === '0.4.0';
  const { hostInterface, podInterface } = result;
  const mtu = version === '1.1.0' && podInterface.mtu !== undefined ? { mtu: podInterface.mtu } : {};
  return {
    cniVersion: version,
    interfaces: [
      { name: hostInterface.name, mac: hostInterface.mac, ...mtu },
      { name: podInterface.name, ...mtu, sandbox: podInterface.netns },
    ],
    ips: result.addresses.map((address) => {
      const v6 = address.includes(':');
      const family = named ? { version: v6 ? '6' : '4' } : {};
      return { ...family, address: `${address}/${v6 ? 128 : 32}`, interface: 1 };
    }),
    routes: result.routes.map(({ destination, gateway }) => ({ dst: destination, gw: gateway })),
    dns: {},
  };
}
