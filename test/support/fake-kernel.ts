/**
 * A routing table in memory behind Felix's two ports to the kernel, the batch child and the shell: enough of iproute2
 * and nft to read back, add exclusively, replace and delete, with faults to inject. It obeys the kernel's rules, not
 * Felix's: a key is prefix and metric whoever wrote it, and `replace` overwrites anybody's route.
 */
import { type Ip, type Prefix, prefixFamily, prefixLength } from '#net';
import type { SysctlFiles } from '../../felix/driver/sysctls.ts';
import type { Batch } from '../../felix/iproute2/batch.ts';
import { decodeMonitorRoute, type Route, routeKey } from '../../felix/iproute2/route.ts';
import type { Shell } from '../../felix/iproute2/shell.ts';
import type { Workload } from '../../felix/inputs.ts';
import { podMac } from '../../felix/workload/name.ts';

const NAMES: Readonly<Record<string, string>> = { unicast: '1', blackhole: '6', unreachable: '7', prohibit: '8' };

export class FakeKernel {
  readonly routes = new Map<string, Route>();
  addresses: readonly { readonly device: string; readonly ip: Ip; readonly length: number }[] = [];
  /** Pod interfaces: name → up. */
  readonly #pods = new Map<string, boolean>();
  /** `device address` → MAC, permanent ones. */
  readonly neighbours = new Map<string, string>();
  table: string | undefined;
  readonly sysctls = new Map<string, string>();
  /** Every batch line that was applied or refused. */
  readonly commands: string[] = [];
  /** Names of what to fail once: 'read', 'batch' (child lost), 'nft', or a prefix whose next command is refused. */
  readonly failNext = new Set<string>();

  put(route: Partial<Route> & { readonly prefix: Prefix }): this {
    const full: Route = {
      type: 'unicast',
      protocol: 3,
      metric: prefixFamily(route.prefix) === 4 ? 0 : 1024,
      link: false,
      source: undefined,
      nextHops: [],
      dead: false,
      ...route,
    };
    this.routes.set(routeKey(full.prefix, full.metric), full);
    return this;
  }

  /** A pod's host end as `plug` leaves it. */
  wire(workload: Workload): void {
    this.#pods.set(workload.hostInterface, true);
    for (const ip of workload.addresses) {
      this.neighbours.set(`${workload.hostInterface} ${ip}`, podMac(workload.hostInterface));
    }
  }

  /** Sets a pod's host end down, which costs its IPv4 routes and its neighbours. */
  setDown(device: string): void {
    this.#pods.set(device, false);
    for (const key of this.neighbours.keys()) if (key.startsWith(`${device} `)) this.neighbours.delete(key);
    for (const [key, route] of this.routes) if (route.nextHops[0]?.device === device) this.routes.delete(key);
  }

  isUp(device: string): boolean {
    return this.#pods.get(device) ?? false;
  }

  /** The routes one protocol wrote, as `prefix → via%dev…` or type, in order of prefix. */
  view(protocol: number): Readonly<Record<string, string>> {
    const ours = [...this.routes.values()].filter((route) => route.protocol === protocol);
    const said = ours.map((route): [string, string] => [
      route.prefix,
      route.type === 'unicast'
        ? route.nextHops.map((hop) => `${hop.gateway ?? ''}%${hop.device}`).join(' ')
        : route.type,
    ]);
    return Object.fromEntries(said.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  readonly batch: Batch = {
    submit: (lines) => {
      if (lines.length > 0 && this.failNext.delete('batch')) {
        this.#apply(lines[0] ?? '');
        return Promise.reject(new Error('batch child lost'));
      }
      const errors = lines.map((line, index) => [index, this.#apply(line)] as const);
      return Promise.resolve(
        new Map(errors.flatMap(([index, error]) => (error === undefined ? [] : [[index, error]]))),
      );
    },
    forget: () => undefined,
    stop: () => undefined,
    respawns: 0,
  };

  readonly shell: Shell = {
    run: (script) => {
      if (script.includes('addr show')) return this.#readLinks();
      if (script.includes('route show table main')) return this.#readRoutes();
      if (script.includes('route show exact')) return this.#readExact(script);
      if (script.startsWith('nft -s list')) return this.#listTable();
      if (script.includes('nft -f -')) return this.#writeTable(script);
      return Promise.resolve({ code: 127, stdout: '', stderr: `not faked: ${script}` });
    },
    stop: () => undefined,
    respawns: 0,
  };

  readonly sysctlFiles: SysctlFiles = {
    read: (path) => Promise.resolve(this.sysctls.get(path) ?? '0'),
    write: (path, value) => {
      this.sysctls.set(path, value);
      return Promise.resolve();
    },
  };

  #apply(line: string): string | undefined {
    this.commands.push(line);
    const [, up] = /^link set dev (\S+) up$/.exec(line) ?? [];
    if (up !== undefined) this.#pods.set(up, true);
    const [, ip, mac, device] = /^neigh replace (\S+) lladdr (\S+) dev (\S+) nud permanent$/.exec(line) ?? [];
    if (mac !== undefined) this.neighbours.set(`${device} ${ip}`, mac);
    if (/^(link|neigh|addr) /.test(line)) return undefined;
    const [, verb = '', specification = ''] = /^route (add|replace|del) (.*)$/.exec(line) ?? [];
    const route = decodeMonitorRoute(specification);
    if (route === undefined) return `not faked: ${line}`;
    if (this.failNext.delete(route.prefix)) return 'RTNETLINK answers: Cannot allocate memory';
    const key = routeKey(route.prefix, route.metric);
    const held = this.routes.get(key);
    if (verb === 'del') {
      if (held === undefined || held.protocol !== route.protocol) return 'RTNETLINK answers: No such process';
      this.routes.delete(key);
    } else {
      if (verb === 'add' && held !== undefined) return 'RTNETLINK answers: File exists';
      this.routes.set(key, route);
    }
    return undefined;
  }

  #readLinks() {
    const devices = [...new Set(this.addresses.map((address) => address.device))];
    const links = devices.map((ifname, index) => ({
      ifindex: index + 2,
      ifname,
      flags: ['UP'],
      mtu: 1500,
      addr_info: this.addresses
        .filter((address) => address.device === ifname)
        .map(({ ip, length }) => ({ local: ip, prefixlen: length })),
    }));
    const pods = [...this.#pods].map(([ifname, up], index) => ({
      ifindex: index + 100,
      ifname,
      flags: up ? ['UP'] : [],
    }));
    const neighbours = [...this.neighbours].map(([key, lladdr]) => {
      const [dev, dst] = key.split(' ');
      return { dst, dev, lladdr, state: ['PERMANENT'] };
    });
    const stdout = [[...links, ...pods], neighbours].map((json) => JSON.stringify(json)).join('\u001d');
    return Promise.resolve({ code: 0, stdout, stderr: '' });
  }

  #readRoutes() {
    if (this.failNext.delete('read'))
      return Promise.resolve({ code: 1, stdout: '', stderr: 'Cannot open netlink socket' });
    const of = (family: 4 | 6) => [...this.routes.values()].filter((route) => prefixFamily(route.prefix) === family);
    const stdout = [of(4).map(toJson), of(6).map(toJson)].map((json) => JSON.stringify(json)).join('\u001d');
    return Promise.resolve({ code: 0, stdout, stderr: '' });
  }

  #readExact(script: string) {
    const asked = [...script.matchAll(/exact (\S+)/g)].map((match) => match[1]);
    const found = asked.map((prefix) => [...this.routes.values()].filter((route) => route.prefix === prefix));
    return Promise.resolve({
      code: 0,
      stdout: found.map((routes) => JSON.stringify(routes.map(toJson))).join('\u001d'),
      stderr: '',
    });
  }

  #listTable() {
    const absent = { code: 1, stdout: '', stderr: 'Error: No such file or directory' };
    return Promise.resolve(this.table === undefined ? absent : { code: 0, stdout: `${this.table}\n`, stderr: '' });
  }

  #writeTable(script: string) {
    if (this.failNext.delete('nft')) return Promise.resolve({ code: 1, stdout: '', stderr: 'Error: refused' });
    const text = /delete table inet \w+\n([^']*)'/.exec(script)?.[1]?.trim() ?? '';
    this.table = text === '' ? undefined : text;
    return Promise.resolve({ code: 0, stdout: '', stderr: '' });
  }
}

/** As `ip -j -N -d route` prints it. */
function toJson(route: Route): object {
  const length = prefixLength(route.prefix);
  const isHost = length === (prefixFamily(route.prefix) === 4 ? 32 : 128);
  const hops = route.nextHops.map((hop) => ({
    ...(hop.gateway === undefined ? {} : { gateway: hop.gateway }),
    dev: hop.device,
    flags: hop.onlink ? ['onlink'] : [],
  }));
  return {
    type: NAMES[route.type] ?? '2',
    dst: length === 0 ? 'default' : isHost ? route.prefix.slice(0, route.prefix.indexOf('/')) : route.prefix,
    ...(hops.length === 1 ? hops[0] : hops.length > 1 ? { nexthops: hops } : {}),
    protocol: String(route.protocol),
    scope: route.link ? '253' : '0',
    ...(route.source === undefined ? {} : { prefsrc: route.source }),
    ...(route.metric === 0 ? {} : { metric: route.metric }),
    ...(hops.length === 1 ? {} : { flags: [] }),
  };
}
