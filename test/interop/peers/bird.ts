/** BIRD 2: no JSON; its table is text, one route per block. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { killChild, until } from '../two-routers.ts';
import { ask, type Daemon, type DaemonSetup, type Instance, isAlive, type Neighbor, type Place } from './daemon.ts';

const TAGS =
  '{ bgp_community.add((65001,100)); bgp_large_community.add((65001,1,2)); bgp_ext_community.add((rt,65001,7)); }';

function protocol(neighbor: Neighbor, index: number, as: number): string {
  const range = neighbor.address.includes('/');
  return `protocol bgp manx${index} {
  local ${neighbor.localAddress} as ${as};
  neighbor ${range ? 'range ' : ''}${neighbor.address} as ${neighbor.as};
  ${range ? 'dynamic name "dyn"; direct;' : 'connect delay time 1; connect retry time 1;'}
  error wait time 1,2; hold time ${neighbor.holdTimeSec};
  ${neighbor.passive ? 'passive on;' : ''}
  ${neighbor.gracefulRestart ? 'graceful restart on; graceful restart time 30;' : ''}
  ipv4 { import all; export where source = RTS_STATIC; ${neighbor.nextHop4 ? `next hop address ${neighbor.nextHop4};` : ''} };
  ipv6 { import all; export where source = RTS_STATIC; };
}
`;
}

function config(dir: string, setup: DaemonSetup): string {
  const tags = setup.tagged ? TAGS : '';
  const statics = (family: string, routes: readonly string[]): string =>
    routes
      .map((route, index) => `protocol static s${family}${index} { ipv${family}; route ${route} blackhole ${tags}; }\n`)
      .join('');
  return `log "${dir}/bird.log" all;
router id ${setup.routerId};
protocol device { }
protocol direct { ipv4; ipv6; }
${statics('4', setup.routes4)}${statics('6', setup.routes6)}
${setup.neighbors.map((neighbor, index) => protocol(neighbor, index, setup.as)).join('')}`.replaceAll(
    /blackhole ;/g,
    'blackhole;',
  );
}

function create({ namespace, dir, spawn }: Place): Instance {
  let child: ReturnType<typeof spawn> | undefined;
  let setup: DaemonSetup | undefined;
  const birdc = (...command: readonly string[]): Promise<string> =>
    ask(namespace, 'birdc', '-s', `${dir}/bird.ctl`, ...command);
  return {
    get children() {
      return child === undefined ? [] : [child];
    },
    start: async (wanted, restart = false) => {
      setup = wanted;
      writeFileSync(join(dir, 'bird.conf'), config(dir, wanted));
      const files = ['-f', '-c', `${dir}/bird.conf`, '-s', `${dir}/bird.ctl`, '-P', `${dir}/bird.pid`];
      child = spawn(namespace, ['bird', ...files, ...(restart ? ['-R'] : [])]);
      await until('bird answers', async () => (await birdc('show', 'status')).includes('Daemon is up'));
    },
    alive: () => isAlive(child),
    kill: async () => (child === undefined ? undefined : killChild(child)),
    signal: (name) => void child?.kill(name),
    routes: async () => {
      const text = await birdc('show', 'route', 'where', 'source', '=', 'RTS_BGP', 'all');
      const found = new Map<string, string>();
      let prefix = '';
      for (const line of text.split('\n')) {
        const head = /^(\S+\/\d+)?\s+(?:unicast|blackhole|unreachable|prohibit) \[/.exec(line);
        if (head !== null) prefix = head[1] ?? prefix;
        const path = /^\s*BGP\.as_path: ?(.*)/.exec(line)?.[1];
        if (path !== undefined && !found.has(prefix)) found.set(prefix, path.trim());
      }
      return found;
    },
    describe: async (prefix) => {
      const text = await birdc('show', 'route', 'for', prefix, 'all');
      return text.toLowerCase().replaceAll(/\((\w+), ?(\w+)(?:, ?(\w+))?\)/g, (_all, ...parts: unknown[]) =>
        parts
          .slice(0, 3)
          .filter((part) => typeof part === 'string')
          .join(':'),
      );
    },
    session: () => birdc('show', 'protocols', 'all', 'manx0'),
    established: async () => /^manx0 .*Established/m.test(await birdc('show', 'protocols')),
    helping: async () => (await birdc('show', 'protocols', 'all', 'manx0')).includes('graceful restart active'),
    withdraw: async (prefix) => {
      const at4 = setup?.routes4.indexOf(prefix) ?? -1;
      const name = at4 >= 0 ? `s4${at4}` : `s6${setup?.routes6.indexOf(prefix) ?? 0}`;
      await birdc('disable', name);
    },
    refresh: async () => {
      await birdc('reload', 'in', 'manx0');
      return undefined;
    },
    shutdown: async (text) => void (await birdc('disable', 'manx0', `"${text}"`)),
    enable: async () => void (await birdc('enable', 'manx0')),
  };
}

export const bird: Daemon = {
  name: 'BIRD',
  programs: ['bird', 'birdc'],
  version: () => Promise.resolve(execFileSync('sh', ['-c', 'bird --version 2>&1'], { encoding: 'utf8' }).trim()),
  create,
};
