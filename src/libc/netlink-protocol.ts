/**
 * What passes between the agent and the netlink thread: many routes as one text of prefixes and one array of numbers into
 * a short list of shapes, since cloning 100,000 objects would hold both threads for a quarter of a second.
 */
import type { NexthopObject, NexthopStep, Route, RouteOwnership, RouteStep } from '#felix';
import type { Prefix } from '#net';
import type { RouteShape } from './netlink-message.ts';

/** Prefixes joined by newlines; for each the index of its shape, −1 = nothing of ours. */
export interface PackedChanges {
  readonly prefixes: string;
  readonly shapeOf: Int32Array;
  readonly shapes: readonly RouteShape[];
}

export interface PackedSteps extends PackedChanges {
  /** 0 add, 1 replace, 2 delete. */
  readonly verbs: Uint8Array;
}

export type NetlinkRequest =
  | { readonly id: number; readonly kind: 'routes'; readonly steps: PackedSteps }
  | { readonly id: number; readonly kind: 'nexthops'; readonly steps: readonly NexthopStep[] }
  | { readonly id: number; readonly kind: 'read'; readonly isFresh: boolean };

export type NetlinkReply =
  | { readonly id: number; readonly kind: 'refusals'; readonly refusals: ReadonlyMap<number, string> }
  | {
      readonly id: number;
      readonly kind: 'reading';
      readonly changes: PackedChanges;
      readonly strays: readonly Route[];
      readonly foreign: readonly Route[];
      readonly nexthops: ReadonlyMap<number, NexthopObject>;
    }
  | { readonly id: number; readonly kind: 'failure'; readonly message: string }
  /** First of all: the socket is open, or why it is not. */
  | { readonly id: 0; readonly kind: 'ready'; readonly reason: string | undefined };

export interface NetlinkThreadData {
  readonly ownership: RouteOwnership;
}

export const VERBS: readonly RouteStep['verb'][] = ['add', 'replace', 'delete'];

/** Numbers for shapes that forward alike. */
export class Shapes {
  readonly #list: RouteShape[] = [];
  readonly #byKey = new Map<string, number>();

  of(shape: RouteShape): number {
    const key = keyOf(shape);
    let at = this.#byKey.get(key);
    if (at === undefined) {
      at = this.#list.push(shape) - 1;
      this.#byKey.set(key, at);
    }
    return at;
  }

  /** With a list of only the shapes that are spoken of. */
  pack(entries: Iterable<readonly [string, number]>): PackedChanges {
    const prefixes: string[] = [];
    const numbers: number[] = [];
    const shapes: RouteShape[] = [];
    const renumbered = new Map<number, number>();
    for (const [prefix, shape] of entries) {
      prefixes.push(prefix);
      const value = this.#list[shape];
      let number = value === undefined ? -1 : renumbered.get(shape);
      if (value !== undefined && number === undefined) renumbered.set(shape, (number = shapes.push(value) - 1));
      numbers.push(number ?? -1);
    }
    return { prefixes: prefixes.join('\n'), shapeOf: Int32Array.from(numbers), shapes };
  }
}

export function packSteps(steps: readonly RouteStep[]): PackedSteps {
  const shapes = new Shapes();
  const verbs = Uint8Array.from(steps, ({ verb }) => VERBS.indexOf(verb));
  return { verbs, ...shapes.pack(steps.map(({ route }) => [route.prefix, shapes.of(route)] as const)) };
}

export function unpackChanges({ prefixes, shapeOf, shapes }: PackedChanges): Map<Prefix, Route | undefined> {
  const changes = new Map<Prefix, Route | undefined>();
  if (shapeOf.length === 0) return changes;
  for (const [index, text] of prefixes.split('\n').entries()) {
    const shape = shapes[shapeOf[index] ?? -1];
    // Canonical text, made of bytes by this program's own thread.
    const prefix = text as Prefix;
    changes.set(prefix, shape === undefined ? undefined : { ...shape, prefix });
  }
  return changes;
}

/** Equal for shapes between which Felix sees no difference (`sameRoute`). */
function keyOf({ type, protocol, metric, group, source, link, nextHops }: RouteShape): string {
  const whose = `${type} ${protocol} ${metric}`;
  if (type !== 'unicast') return whose;
  if (group !== undefined) return `${whose} ${source ?? ''} #${group}`;
  const hops = nextHops.map((hop) => `${hop.gateway ?? ''}%${hop.device}${hop.onlink ? '!' : ''}`).sort();
  return `${whose} ${source ?? ''} ${link} ${hops.join(' ')}`;
}
