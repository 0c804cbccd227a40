/**
 * Adj-RIB-Out of an update group: what each best path becomes for peers that are told the same way (RFC 4271 §9.1.3).
 *
 * Pure. The export policy, the attributes and their encoding are worked out once per route and prefix class, then shared
 * by all prefixes and all peers of the group. A route is not told to the peer it came from, nor a reflected one to the
 * router that originated it (RFC 4456 §8): that is its audience, decided per peer when messages go out.
 */
import type { Ip } from '#net';
import { AttributeMemo } from '../policy/changes.ts';
import { PrefixClasses } from '../policy/prefix-classes.ts';
import type { WireContext } from '../wire/context.ts';
import { announceTemplate, type UpdateTemplate } from '../wire/template.ts';
import { Column } from './column.ts';
import { type ExportTarget, exportPath } from './export.ts';
import type { LocRib } from './loc-rib.ts';
import type { Route } from './path.ts';

/** All but the peers that told it or made it. */
export interface Audience {
  /** Name of the peer the route came from. */
  readonly source: string;
  /** Router id of a reflected route's origin. */
  readonly originator: Ip | undefined;
}

/** What the group tells of one route. */
export interface RouteTold {
  readonly template: UpdateTemplate;
  readonly audience: Audience;
  /** Prefixes to announce with it in the batch under way; belongs to whoever collects. */
  batch: number[] | undefined;
}

/** No peer has this name: what one peer of a group must not hear, the others must. */
const NOBODY = '\u0000';

/** Exported attributes are needed until they are encoded; forgetting them halves the memory of a full table. */
const MEMO_LIMIT = 1024;

interface Answers {
  lastClass: number;
  last: RouteTold | undefined;
  readonly byClass: Map<number, RouteTold | undefined>;
}

export class AdjRibOut {
  readonly #told = new Column<RouteTold>();
  readonly #locRib: LocRib;
  #target: ExportTarget;
  #exported = 0;
  /** Of the route looked at last: prefixes of one announcement come together. */
  #lastRoute: Route | undefined;
  #lastAnswers: Answers | undefined;
  readonly #context: WireContext;
  readonly #classes: PrefixClasses;
  readonly #answers = new WeakMap<Route, Answers>();
  readonly #audiences = new Map<string, Audience>();

  constructor(locRib: LocRib, target: ExportTarget, context: WireContext) {
    const { peerRouterId: _, ...shared } = target;
    this.#locRib = locRib;
    this.#target = { ...shared, name: NOBODY };
    this.#context = context;
    this.#classes = new PrefixClasses(target.policy);
  }

  get size(): number {
    return this.#told.size;
  }

  get(id: number): RouteTold | undefined {
    return this.#told.get(id);
  }

  set(id: number, told: RouteTold | undefined): void {
    this.#told.set(id, told);
  }

  forEach(visit: (id: number, told: RouteTold) => void): void {
    this.#told.forEach(visit);
  }

  /** What has to be told of the prefix now; undefined = nothing. */
  resolve(id: number): RouteTold | undefined {
    const best = this.#locRib.best(id);
    if (best === undefined) return undefined;
    const answers = this.#answersFor(best);
    const prefixClass = this.#classes.classOf(this.#locRib.table, id);
    if (answers.lastClass === prefixClass) return this.#fitting(id, answers.last);
    let told = answers.byClass.get(prefixClass);
    if (told === undefined && !answers.byClass.has(prefixClass)) {
      told = this.#export(best, id);
      answers.byClass.set(prefixClass, told);
    }
    answers.lastClass = prefixClass;
    answers.last = told;
    return this.#fitting(id, told);
  }

  #answersFor(route: Route): Answers {
    if (this.#lastRoute === route && this.#lastAnswers !== undefined) return this.#lastAnswers;
    let answers = this.#answers.get(route);
    if (answers === undefined) {
      answers = { lastClass: -1, last: undefined, byClass: new Map() };
      this.#answers.set(route, answers);
    }
    this.#lastRoute = route;
    this.#lastAnswers = answers;
    return answers;
  }

  /** A route whose attributes leave no room for the prefix cannot be told · RFC 8654 §4. */
  #fitting(id: number, told: RouteTold | undefined): RouteTold | undefined {
    return told !== undefined && this.#locRib.table.nlriBytes(id) <= told.template.room ? told : undefined;
  }

  #export(route: Route, id: number): RouteTold | undefined {
    const { table } = this.#locRib;
    this.#exported += 1;
    if (this.#exported % MEMO_LIMIT === 0)
      this.#target = { ...this.#target, memo: new AttributeMemo(), cache: new WeakMap() };
    const { route: out } = exportPath({ prefix: table.prefix(id), ...route }, this.#target);
    if (out === undefined) return undefined;
    const template = announceTemplate({ ...out, family: table.family(id) }, this.#context);
    const reflected = route.source.kind === 'ibgp' && this.#target.peerType === 'ibgp';
    const originator = reflected ? (route.attributes.originatorId ?? route.source.routerId) : undefined;
    return { template, audience: this.#audience(route.source.name, originator), batch: undefined };
  }

  #audience(source: string, originator: Ip | undefined): Audience {
    const key = `${source} ${originator ?? ''}`;
    const known = this.#audiences.get(key);
    if (known !== undefined) return known;
    const made = { source, originator };
    this.#audiences.set(key, made);
    return made;
  }
}

/** Whether a peer hears of both alike: same message apart from the prefix. */
export function tellsTheSame(a: RouteTold, b: RouteTold): boolean {
  if (a === b || a.template === b.template) return true;
  return sameBytes(a.template.before, b.template.before) && sameBytes(a.template.after, b.template.after);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false;
  return true;
}
