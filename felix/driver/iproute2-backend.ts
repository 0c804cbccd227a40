/**
 * The iproute2 back end: writes by the long-lived `ip -force -batch -`, reads by `ip -j` in a shell coprocess. Slower than
 * netlink and always there. A reading of 100,000 routes is 7 MB of JSON, parsed on this thread: events are therefore
 * answered by `route show exact`, and everything is read at audits and when the links or foreign routes changed.
 */
import type { Prefix } from '#net';
import type { Batch } from '../iproute2/batch.ts';
import { parseIpJson } from '../iproute2/json.ts';
import { decodeNexthops, nexthopLine } from '../iproute2/nexthop.ts';
import {
  addRouteLine,
  decodeRoutes,
  deleteRouteLine,
  type Route,
  replaceRouteLine,
  sameRoute,
} from '../iproute2/route.ts';
import type { Shell } from '../iproute2/shell.ts';
import { readScript } from './read-script.ts';
import type { Refusals, RouteBackend, RouteChanges, RouteOwnership, RouteReading } from './route-backend.ts';

/** Lines between two acknowledgements: bounds what is in the pipe, and what is unknown when the child is lost. */
const CHUNK = 10_000;

const ROUTES = ['ip -j -N -d -4 route show table main', 'ip -j -N -d -6 route show table main'];
const NEXTHOPS = 'ip -j -N nexthop show';

export function createIproute2Backend(parts: {
  readonly batch: Batch;
  readonly shell: Shell;
  readonly ownership: RouteOwnership;
}): RouteBackend {
  const { batch, shell, ownership } = parts;
  const isOurs = (route: Route) => route.protocol === ownership.protocol && route.metric === ownership.metric;

  async function read(known: ReadonlyMap<Prefix, Route> | undefined): Promise<RouteReading> {
    const [text4 = '', text6 = '', nexthops = ''] = await readScript(
      shell,
      ownership.nexthops ? [...ROUTES, NEXTHOPS] : ROUTES,
    );
    const routes = [...decodeRoutes(parseIpJson(text4), 4), ...decodeRoutes(parseIpJson(text6), 6)];
    const ours = new Map<Prefix, Route>();
    const strays: Route[] = [];
    const foreign: Route[] = [];
    for (const route of routes) {
      if (route.protocol !== ownership.protocol) foreign.push(route);
      else if (isOurs(route) && !ours.has(route.prefix)) ours.set(route.prefix, route);
      else strays.push(route);
    }
    return { changes: changesOf(known, ours), strays, foreign, nexthops: decodeNexthops(parseIpJson(nexthops)) };
  }

  async function recheck(prefixes: readonly Prefix[]): Promise<RouteChanges> {
    const texts = await readScript(
      shell,
      prefixes.map((prefix) => `ip -j -N -d route show exact ${prefix} table main`),
    );
    return new Map(
      prefixes.map((prefix, index) => {
        const found = decodeRoutes(parseIpJson(texts[index] ?? ''), prefix.includes(':') ? 6 : 4);
        return [prefix, found.find((route) => route.prefix === prefix && isOurs(route))];
      }),
    );
  }

  /** Submits in chunks, all of them in the pipe at once. */
  async function submit(lines: readonly string[], isDelete: (index: number) => boolean): Promise<Refusals> {
    const refused = new Map<number, string>();
    for (let from = 0; from < lines.length; from += CHUNK) {
      for (const [index, message] of await batch.submit(lines.slice(from, from + CHUNK))) {
        if (isDelete(from + index) && /No such (process|file or directory|device)$/.test(message)) continue;
        refused.set(from + index, message);
      }
    }
    return refused;
  }

  return {
    name: 'iproute2',
    read,
    recheck,
    applyRoutes: (steps) =>
      submit(
        steps.map(({ verb, route }) =>
          verb === 'add' ? addRouteLine(route) : verb === 'replace' ? replaceRouteLine(route) : deleteRouteLine(route),
        ),
        (index) => steps[index]?.verb === 'delete',
      ),
    applyNexthops: (steps) =>
      submit(
        steps.map(({ verb, nexthop }) => nexthopLine(verb, nexthop)),
        (index) => steps[index]?.verb === 'delete',
      ),
    // The batch and the shell are others' too: who made them ends them and tells them of renamed interfaces.
    forget: () => undefined,
    stop: () => undefined,
    respawns: 0,
  };
}

function changesOf(known: ReadonlyMap<Prefix, Route> | undefined, ours: ReadonlyMap<Prefix, Route>): RouteChanges {
  if (known === undefined) return ours;
  const changes = new Map<Prefix, Route | undefined>();
  for (const [prefix, route] of ours) {
    const before = known.get(prefix);
    if (before === undefined || !sameRoute(before, route)) changes.set(prefix, route);
  }
  for (const prefix of known.keys()) if (!ours.has(prefix)) changes.set(prefix, undefined);
  return changes;
}
