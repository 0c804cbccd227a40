/** FRR's bgpd with zebra: without zebra it refuses IPv6 next hops. Both run as user frr and need a directory of theirs. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { killChild, until } from '../two-routers.ts';
import {
  ask,
  askJson,
  type Daemon,
  type DaemonSetup,
  type Instance,
  isAlive,
  type Neighbor,
  type Place,
} from './daemon.ts';

const LIBRARY = '/usr/lib/frr';

function neighborLines(neighbor: Neighbor, index: number): readonly string[] {
  const range = neighbor.address.includes('/');
  const name = range ? `PG${index}` : neighbor.address;
  return [
    ...(range ? [`neighbor ${name} peer-group`] : []),
    `neighbor ${name} remote-as ${neighbor.as}`,
    ...(range ? [`bgp listen range ${neighbor.address} peer-group ${name}`] : [`neighbor ${name} timers connect 1`]),
    ...(neighbor.passive && !range ? [`neighbor ${name} passive`] : []),
    `neighbor ${name} timers ${Math.max(1, Math.floor(neighbor.holdTimeSec / 3))} ${neighbor.holdTimeSec}`,
  ];
}

function config(dir: string, setup: DaemonSetup): string {
  const names = setup.neighbors.map(({ address }, index) => (address.includes('/') ? `PG${index}` : address));
  const graceful = setup.neighbors.some(({ gracefulRestart }) => gracefulRestart);
  const family = (afi: string, routes: readonly string[]): readonly string[] => [
    `address-family ${afi} unicast`,
    ...routes.map((route) => `network ${route}${setup.tagged ? ' route-map TAG' : ''}`),
    ...names.flatMap((name, index) => {
      const nextHop = setup.neighbors[index]?.nextHop4;
      return afi === 'ipv4' && nextHop !== undefined
        ? [`neighbor ${name} activate`, `neighbor ${name} route-map HOP4 out`]
        : [`neighbor ${name} activate`];
    }),
    'exit-address-family',
  ];
  const hop4 = setup.neighbors.find(({ nextHop4 }) => nextHop4 !== undefined)?.nextHop4;
  return [
    'frr defaults traditional',
    'hostname peer',
    `log file ${dir}/frr.log`,
    'route-map TAG permit 10',
    ' set community 65001:100',
    ' set large-community 65001:1:2',
    ' set extcommunity rt 65001:7',
    'exit',
    ...(hop4 === undefined ? [] : ['route-map HOP4 permit 10', ` set ip next-hop ${hop4}`, 'exit']),
    `router bgp ${setup.as}`,
    `bgp router-id ${setup.routerId}`,
    'no bgp ebgp-requires-policy',
    'no bgp default ipv4-unicast',
    'no bgp network import-check',
    // After a restart it would say End-of-RIB before its own routes.
    ...(graceful ? [] : ['coalesce-time 10']),
    'bgp listen limit 1000',
    ...(graceful
      ? ['bgp graceful-restart', 'bgp graceful-restart restart-time 30', 'bgp graceful-restart preserve-fw-state']
      : ['bgp graceful-restart-disable']),
    ...setup.neighbors.flatMap(neighborLines),
    ...family('ipv4', setup.routes4),
    ...family('ipv6', setup.routes6),
    '',
  ].join('\n');
}

function create({ namespace, dir: home, spawn }: Place): Instance {
  let zebra: ReturnType<typeof spawn> | undefined;
  let bgpd: ReturnType<typeof spawn> | undefined;
  let setup: DaemonSetup | undefined;
  const dir = join(home, 'frr');
  const vtysh = (...lines: readonly string[]): Promise<string> =>
    ask(namespace, 'vtysh', '--vty_socket', dir, ...lines.flatMap((line) => ['-c', line]));
  const json = (line: string): Promise<unknown> =>
    askJson(namespace, ['vtysh', '--vty_socket', dir, '-c', `${line} json`], {});
  const peer = (): string => setup?.neighbors[0]?.address ?? '';
  const configure = (...lines: readonly string[]): Promise<string> =>
    vtysh('configure terminal', `router bgp ${setup?.as}`, ...lines);
  const launch = (program: string): ReturnType<typeof spawn> =>
    spawn(
      namespace,
      [
        `${join(LIBRARY, program)} -f ${dir}/${program}.conf -z ${dir}/zserv.api -i ${dir}/${program}.pid`,
        `--vty_socket ${dir} -A 127.0.0.1 -P 0`,
      ].flatMap((words) => words.split(' ')),
    );
  return {
    get children() {
      return [bgpd, zebra].filter((child) => child !== undefined);
    },
    start: async (wanted) => {
      setup = wanted;
      chmodSync(dirname(dir), 0o755);
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, 'bgpd.conf'), config(dir, wanted));
      writeFileSync(join(dir, 'zebra.conf'), 'hostname zebra\n');
      execFileSync('chown', ['-R', 'frr:frr', dir]);
      if (!isAlive(zebra)) zebra = launch('zebra');
      await until('zebra is there', () => existsSync(`${dir}/zserv.api`));
      bgpd = launch('bgpd');
      await until(
        'bgpd answers',
        async () => (await vtysh('show bgp summary')).length > 0 && existsSync(`${dir}/bgpd.vty`),
      );
    },
    alive: () => isAlive(bgpd),
    kill: async () => {
      if (bgpd !== undefined) await killChild(bgpd);
    },
    signal: (name) => void bgpd?.kill(name),
    routes: async () => {
      const found = new Map<string, string>();
      for (const family of ['ipv4', 'ipv6']) {
        const table = (await json(`show bgp ${family} unicast`)) as {
          readonly routes?: Readonly<Record<string, readonly { readonly path: string; readonly peerId: string }[]>>;
        };
        for (const [prefix, paths] of Object.entries(table.routes ?? {})) {
          const learned = paths.find(({ peerId }) => peerId !== '(unspec)' && peerId !== '::' && peerId !== '0.0.0.0');
          if (learned !== undefined) found.set(prefix, learned.path);
        }
      }
      return found;
    },
    describe: async (prefix) => {
      const text = await vtysh(`show bgp ${prefix.includes(':') ? 'ipv6' : 'ipv4'} unicast ${prefix}`);
      return text.toLowerCase();
    },
    session: () => vtysh(`show bgp neighbors ${peer()}`),
    established: async () => (await vtysh(`show bgp neighbors ${peer()}`)).includes('BGP state = Established'),
    helping: async () => / stale/i.test(await vtysh('show bgp ipv4 unicast 10.2.0.0/26')),
    withdraw: async (prefix) => {
      const family = prefix.includes(':') ? 'ipv6' : 'ipv4';
      await configure(`address-family ${family} unicast`, `no network ${prefix}`);
    },
    refresh: async () => {
      await vtysh(`clear bgp ipv4 unicast ${peer()} in`);
      return undefined;
    },
    shutdown: async (text) => void (await configure(`neighbor ${peer()} shutdown message ${text}`)),
    enable: async () => void (await configure(`no neighbor ${peer()} shutdown`)),
  };
}

export const frr: Daemon = {
  name: 'FRR',
  programs: ['vtysh', `${LIBRARY}/bgpd`, `${LIBRARY}/zebra`],
  version: () =>
    Promise.resolve(
      execFileSync(join(LIBRARY, 'bgpd'), ['--version'], { encoding: 'utf8' })
        .split('\n')[0]
        ?.replace('bgpd version', 'FRR') ?? '',
    ),
  create,
};
