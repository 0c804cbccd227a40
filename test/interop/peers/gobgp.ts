/** GoBGP: networks are not part of its file but come through its API; with -r it comes back as a restarting speaker. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
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

function families(scope: string, graceful: boolean): string {
  return ['ipv4-unicast', 'ipv6-unicast']
    .map(
      (name) => `  [[${scope}.afi-safis]]
    [${scope}.afi-safis.config]
      afi-safi-name = "${name}"
${graceful ? `    [${scope}.afi-safis.mp-graceful-restart.config]\n      enabled = true\n` : ''}`,
    )
    .join('');
}

function neighborText(neighbor: Neighbor, index: number): string {
  const { gracefulRestart } = neighbor;
  const restart = (scope: string): string =>
    gracefulRestart ? `  [${scope}.graceful-restart.config]\n    enabled = true\n    restart-time = 30\n` : '';
  if (neighbor.address.includes('/')) {
    return `[[peer-groups]]
  [peer-groups.config]
    peer-group-name = "pg${index}"
    peer-as = ${neighbor.as}
${restart('peer-groups')}${families('peer-groups', gracefulRestart)}[[dynamic-neighbors]]
  [dynamic-neighbors.config]
    prefix = "${neighbor.address}"
    peer-group = "pg${index}"
`;
  }
  return `[[neighbors]]
  [neighbors.config]
    neighbor-address = "${neighbor.address}"
    peer-as = ${neighbor.as}
  [neighbors.timers.config]
    connect-retry = 1
    idle-hold-time-after-reset = 1
    hold-time = ${neighbor.holdTimeSec}
    keepalive-interval = ${Math.max(1, Math.floor(neighbor.holdTimeSec / 3))}
  [neighbors.transport.config]
    local-address = "${neighbor.localAddress}"
    passive-mode = ${neighbor.passive}
${restart('neighbors')}${families('neighbors', gracefulRestart)}`;
}

function config(setup: DaemonSetup): string {
  return `[global.config]
  as = ${setup.as}
  router-id = "${setup.routerId}"
${setup.neighbors.map(neighborText).join('')}`;
}

interface Path {
  readonly 'neighbor-ip'?: string;
  readonly attrs?: readonly {
    readonly type: number;
    readonly as_paths?: readonly { readonly asns: readonly number[] }[];
  }[];
}

function create({ namespace, dir, spawn }: Place): Instance {
  let child: ReturnType<typeof spawn> | undefined;
  let setup: DaemonSetup | undefined;
  const gobgp = (...command: readonly string[]): Promise<string> => ask(namespace, 'gobgp', ...command);
  const family = (prefix: string): string => (prefix.includes(':') ? 'ipv6' : 'ipv4');
  const peer = (): string => setup?.neighbors[0]?.address ?? '';
  const addRoute = (prefix: string): Promise<string> =>
    gobgp(
      'global',
      'rib',
      '-a',
      family(prefix),
      'add',
      prefix,
      'origin',
      'igp',
      ...(setup?.tagged ? ['community', '65001:100', 'large-community', '65001:1:2', 'rt', '65001:7'] : []),
      ...(prefix.includes(':') ? ['nexthop', '2001:db8:0:1::1'] : []),
    );
  return {
    get children() {
      return child === undefined ? [] : [child];
    },
    start: async (wanted, restart = false) => {
      setup = wanted;
      writeFileSync(join(dir, 'gobgpd.toml'), config(wanted));
      const flags = ['--api-hosts', '127.0.0.1:50051', '--pprof-disable', '-l', 'warn', ...(restart ? ['-r'] : [])];
      child = spawn(namespace, ['gobgpd', '-f', join(dir, 'gobgpd.toml'), ...flags]);
      child.stdout?.resume();
      await until('gobgpd answers', async () => (await gobgp('global')).includes('Router-ID'));
      for (const prefix of [...wanted.routes4, ...wanted.routes6]) await addRoute(prefix);
    },
    alive: () => isAlive(child),
    kill: async () => (child === undefined ? undefined : killChild(child)),
    signal: (name) => void child?.kill(name),
    routes: async () => {
      const found = new Map<string, string>();
      for (const afi of ['ipv4', 'ipv6']) {
        const table = (await askJson(namespace, ['gobgp', 'global', 'rib', '-j', '-a', afi], {})) as Readonly<
          Record<string, readonly Path[]>
        >;
        for (const [prefix, paths] of Object.entries(table)) {
          const learned = paths.find((path) => path['neighbor-ip'] !== undefined && path['neighbor-ip'] !== '<nil>');
          const segments = learned?.attrs?.find(({ type }) => type === 2)?.as_paths ?? [];
          if (learned !== undefined) found.set(prefix, segments.flatMap(({ asns }) => asns).join(' '));
        }
      }
      return found;
    },
    describe: async (prefix) => (await gobgp('global', 'rib', '-a', family(prefix), prefix)).toLowerCase(),
    session: async () =>
      `${await gobgp('neighbor', peer())}${JSON.stringify(await askJson(namespace, ['gobgp', 'neighbor', peer(), '-j'], {}))}`,
    established: async () => /BGP state = ESTABLISHED/i.test(await gobgp('neighbor', peer())),
    helping: async () => /^S/m.test((await gobgp('global', 'rib')).replaceAll(/\*/g, '')),
    withdraw: async (prefix) => void (await gobgp('global', 'rib', '-a', family(prefix), 'del', prefix)),
    refresh: async () => 'gobgp softresetin sends no ROUTE-REFRESH: it looks at its adj-in again',
    shutdown: async (text) => void (await gobgp('neighbor', peer(), 'shutdown', '--reason', text)),
    enable: async () => void (await gobgp('neighbor', peer(), 'enable')),
  };
}

export const gobgp: Daemon = {
  name: 'GoBGP',
  programs: ['gobgpd', 'gobgp'],
  version: () => Promise.resolve(execFileSync('gobgpd', ['--version'], { encoding: 'utf8' }).trim()),
  create,
};
