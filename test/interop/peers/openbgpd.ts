/** OpenBGPD (portable): four processes under a parent; no kernel routes on Linux, every next hop counts as reachable. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
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

const TAGS = ' set { community 65001:100 large-community 65001:1:2 ext-community rt 65001:7 }';

function neighborText(neighbor: Neighbor): string {
  const over6 = neighbor.address.includes(':');
  return `neighbor ${neighbor.address} {
  remote-as ${neighbor.as}
  ${neighbor.passive ? 'passive' : ''}
  holdtime ${neighbor.holdTimeSec}
  holdtime min 3
  announce IPv4 ${over6 && neighbor.nextHop4 === undefined ? 'none' : 'unicast'}
  announce IPv6 unicast
}
`;
}

function config(dir: string, setup: DaemonSetup): string {
  const networks = [...setup.routes4, ...setup.routes6].map((route) => `network ${route}${setup.tagged ? TAGS : ''}`);
  return `AS ${setup.as}
router-id ${setup.routerId}
socket "${dir}/bgpd.sock"
fib-update no
${networks.join('\n')}
${setup.neighbors.map(neighborText).join('')}
allow from any
allow to any
`;
}

/** All descendants of a process. */
function family(pid: number): readonly number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return children === ''
      ? []
      : children
          .split(' ')
          .map(Number)
          .flatMap((child) => [child, ...family(child)]);
  } catch {
    return [];
  }
}

function tell(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it is gone already
  }
}

function create({ namespace, dir, spawn }: Place): Instance {
  let child: ReturnType<typeof spawn> | undefined;
  let setup: DaemonSetup | undefined;
  const bgpctl = (...command: readonly string[]): Promise<string> =>
    ask(namespace, 'bgpctl', '-s', `${dir}/bgpd.sock`, ...command);
  const peer = (): string => setup?.neighbors[0]?.address ?? '';
  return {
    get children() {
      return child === undefined ? [] : [child];
    },
    start: async (wanted) => {
      setup = wanted;
      mkdirSync('/run/openbgpd', { recursive: true });
      writeFileSync(join(dir, 'bgpd.conf'), config(dir, wanted), { mode: 0o600 });
      child = spawn(namespace, ['/usr/sbin/bgpd', '-d', '-f', join(dir, 'bgpd.conf')]);
      await until('bgpd answers', async () => /Neighbor/.test(await bgpctl('show')));
    },
    alive: () => isAlive(child),
    kill: async () => {
      if (child?.pid === undefined) return;
      // The parent alone is no crash: its children would still say good-bye.
      const all = [...family(child.pid), child.pid];
      for (const name of ['SIGSTOP', 'SIGKILL'] as const) for (const pid of all) tell(pid, name);
      await killChild(child);
    },
    signal: (name) => {
      if (child?.pid === undefined) return;
      for (const pid of [...family(child.pid), child.pid]) tell(pid, name);
    },
    routes: async () => {
      const answer = (await askJson(namespace, ['bgpctl', '-s', `${dir}/bgpd.sock`, '-j', 'show', 'rib'], {})) as {
        readonly rib?: readonly {
          readonly prefix: string;
          readonly aspath?: string;
          readonly announced?: boolean;
          readonly valid?: boolean;
        }[];
      };
      const learned = (answer.rib ?? []).filter(({ announced, valid }) => announced !== true && valid !== false);
      return new Map(learned.map(({ prefix, aspath }) => [prefix, aspath ?? '']));
    },
    describe: async (prefix) =>
      (await bgpctl('show', 'rib', 'detail', prefix)).toLowerCase().replaceAll(/\brt (\d)/g, 'rt:$1'),
    session: () => bgpctl('show', 'neighbor', peer()),
    established: async () => (await bgpctl('show', 'neighbor', peer())).includes('BGP state = Established'),
    helping: async () => /stale/i.test(await bgpctl('show', 'rib', 'detail', '10.2.0.0/26')),
    withdraw: async (prefix) => {
      if (setup === undefined) return;
      const without = (list: readonly string[]): readonly string[] => list.filter((route) => route !== prefix);
      setup = { ...setup, routes4: without(setup.routes4), routes6: without(setup.routes6) };
      writeFileSync(join(dir, 'bgpd.conf'), config(dir, setup), { mode: 0o600 });
      await bgpctl('reload');
    },
    refresh: async () => {
      await bgpctl('neighbor', peer(), 'refresh');
      return undefined;
    },
    shutdown: async (text) => void (await bgpctl('neighbor', peer(), 'down', text)),
    enable: async () => void (await bgpctl('neighbor', peer(), 'up')),
  };
}

export const openbgpd: Daemon = {
  name: 'OpenBGPD',
  programs: ['/usr/sbin/bgpd', 'bgpctl'],
  version: () => {
    const text = execFileSync('sh', ['-c', '/usr/sbin/bgpd -V 2>&1'], { encoding: 'utf8' });
    return Promise.resolve(text.trim().split('\n')[0] ?? '');
  },
  create,
};
