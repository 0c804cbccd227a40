/**
 * `ip monitor`: hints that something in this namespace changed (rtnetlink groups link, address, route). Hints only mark
 * work to do, the truth is read back; a lost one costs a resync interval. iproute2 ignores -json here, so lines are text.
 * Two facts (measured): an overflow is one line on stderr and the stream goes on, and a link going down takes its IPv4
 * routes along without a route event, which is why link hints exist.
 */
import type { TimerHandle, Timers } from '#reconcile';
import type { NexthopObject } from '../calc/nexthop-groups.ts';
import { decodeMonitorNexthop } from './nexthop.ts';
import { decodeMonitorRoute, type Route } from './route.ts';
import type { Child, StartChild } from './run.ts';

export type Hint =
  | { readonly kind: 'route'; readonly deleted: boolean; readonly route: Route }
  | {
      readonly kind: 'link';
      readonly deleted: boolean;
      readonly name: string;
      readonly index: number;
      readonly up: boolean;
    }
  | { readonly kind: 'address'; readonly name: string }
  | { readonly kind: 'nexthop'; readonly deleted: boolean; readonly nexthop: NexthopObject }
  /** Events were lost, or the monitor was started again: anything may have changed. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** A monitor that was started a while ago surely listens by now; what happened before it did is unknown. */
  | { readonly kind: 'listening' };

export interface Monitor {
  stop(): void;
  readonly respawns: number;
}

/**
 * The shell around it gives `ip` what it lacks: an end when the agent's pipe closes (a monitor writes only on events,
 * so it would outlive a killed agent), and `exec` of the outputs so that the end of `ip` shows.
 */
function script(objects: string): string {
  return `ip -oneline -ts -rcvbuf 8388608 monitor ${objects} & p=$!; exec >&- 2>&-; read x; kill $p`;
}

export function createMonitor(options: {
  readonly startChild: StartChild;
  readonly timers: Timers;
  readonly restartMs: number;
  readonly onHint: (hint: Hint) => void;
  /** Says of a route event, by prefix as printed and nexthop id, that it is the echo of a write of ours. */
  readonly isEcho?: (prefix: string, group: number, deleted: boolean) => boolean;
  /** Whether this iproute2 knows nexthop objects. */
  readonly nexthops?: boolean;
}): Monitor {
  const { startChild, timers, restartMs, onHint, nexthops, isEcho } = options;
  let child: Child | undefined;
  let timer: TimerHandle | undefined;
  let stopped = false;
  let respawns = 0;

  function start(): void {
    const started = startChild('sh', ['-c', script(`link address route${nexthops === true ? ' nexthop' : ''}`)]);
    child = started;
    const read = lineReader((line) => {
      if (isEcho !== undefined && isEchoLine(line, isEcho)) return;
      const hint = decodeHint(line);
      if (hint !== undefined) onHint(hint);
    });
    started.stdout.on('data', read);
    const complain = lineReader((line) => {
      // It also grumbles about namespaces it cannot name, which loses nothing.
      if (line.includes('No buffer space')) onHint({ kind: 'lost', reason: line });
    });
    started.stderr.on('data', complain);
    timer = timers.set(() => onHint({ kind: 'listening' }), restartMs);
    started.stdout.on('end', () => {
      started.stdin.end();
      if (stopped || child !== started) return;
      if (timer !== undefined) timers.clear(timer);
      timer = timers.set(restart, restartMs);
    });
  }

  function restart(): void {
    timer = undefined;
    if (stopped) return;
    respawns += 1;
    start();
    onHint({ kind: 'lost', reason: 'the monitor was started again' });
  }

  start();
  return {
    stop() {
      stopped = true;
      if (timer !== undefined) timers.clear(timer);
      child?.stdin.end();
    },
    get respawns() {
      return respawns;
    },
  };
}

/** `[time] PREFIX nhid ID …` or `[time] Deleted PREFIX nhid ID …`, looked at with as little work as can be. */
function isEchoLine(line: string, isEcho: (prefix: string, group: number, deleted: boolean) => boolean): boolean {
  const at = line.indexOf(' nhid ');
  if (at < 0) return false;
  const start = line.lastIndexOf(' ', at - 1) + 1;
  const group = Number.parseInt(line.slice(at + 6, at + 18), 10);
  return isEcho(line.slice(start, at), group, line.startsWith('Deleted ', start - 8));
}

/** What one monitor line means; undefined for what cannot concern us (other routing tables). */
export function decodeHint(line: string): Hint | undefined {
  const text = line.replace(/^\[[^\]]*\]\s*/, '').replace(/^\[[A-Z]+\]/, '');
  const deleted = text.startsWith('Deleted ');
  const body = deleted ? text.slice('Deleted '.length) : text;
  const link = /^(\d+): ([^\s@:]+)(?:@\S+)?:? /.exec(body);
  if (link !== null) {
    const name = link[2] ?? '';
    if (/^\d+: \S+\s+inet6? /.test(body)) return { kind: 'address', name };
    return { kind: 'link', deleted, name, index: Number(link[1]), up: /[<,]UP[,>]/.test(body) };
  }
  if (body.startsWith('id ')) {
    const nexthop = decodeMonitorNexthop(body);
    return nexthop === undefined ? undefined : { kind: 'nexthop', deleted, nexthop };
  }
  const route = decodeMonitorRoute(body);
  return route === undefined ? undefined : { kind: 'route', deleted, route };
}

function lineReader(onLine: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') onLine(line);
  };
}
