/**
 * The import verdict of one peer's routes, walked once per route and prefix class (RFC 4271 §9.1.1).
 *
 * Pure. A RouteIn is shared by all prefixes that came with the same attributes and got the same verdict: 100,000 prefixes
 * in 20,000 UPDATEs are judged 5,000 times. Counters still count every prefix.
 */
import type { AttributeMemo } from '../policy/changes.ts';
import { PrefixClasses } from '../policy/prefix-classes.ts';
import type { PolicyRule } from '../policy/policy.ts';
import type { RouteIn } from './adj-rib-in.ts';
import { changePath, type ImportContext, judgeImport } from './import.ts';
import type { Path, Route } from './path.ts';
import type { PrefixTable } from './prefix-table.ts';

/** How often one answer was given. */
export interface VerdictCount {
  readonly rule: string;
  readonly action: PolicyRule['action'];
  count: number;
}

export interface JudgedRoute extends RouteIn {
  /** What the policy made of it for the Loc-RIB; undefined when refused. */
  readonly used: Route | undefined;
  readonly counter: VerdictCount;
}

/** The verdicts on one route so far, by prefix class. */
interface Verdicts {
  lastClass: number;
  last: JudgedRoute | undefined;
  readonly others: Map<number, JudgedRoute>;
}

export class ImportJudge {
  readonly #table: PrefixTable;
  readonly #memo: AttributeMemo;
  readonly #counts: Map<string, VerdictCount>;
  readonly #context: ImportContext;
  readonly #classes: PrefixClasses;
  readonly #verdicts = new WeakMap<Route, Verdicts>();

  constructor(from: {
    readonly table: PrefixTable;
    readonly memo: AttributeMemo;
    readonly context: ImportContext;
    /** Outlives the judge: counts go on when the policy changes. */
    readonly counts: Map<string, VerdictCount>;
  }) {
    this.#table = from.table;
    this.#memo = from.memo;
    this.#context = from.context;
    this.#counts = from.counts;
    this.#classes = new PrefixClasses(from.context.policy);
  }

  /** The verdicts on a route, to be handed to `judge` for each of its prefixes. */
  open(route: Route): (id: number) => JudgedRoute {
    const verdicts = this.#verdictsOn(route);
    return (id) => this.#judge(route, verdicts, id);
  }

  #verdictsOn(route: Route): Verdicts {
    const known = this.#verdicts.get(route);
    if (known !== undefined) return known;
    const made: Verdicts = { lastClass: -1, last: undefined, others: new Map() };
    this.#verdicts.set(route, made);
    return made;
  }

  #judge(route: Route, verdicts: Verdicts, id: number): JudgedRoute {
    const prefixClass = this.#classes.classOf(this.#table, id);
    let judged = verdicts.lastClass === prefixClass ? verdicts.last : verdicts.others.get(prefixClass);
    if (judged === undefined) {
      judged = this.#decide(route, id);
      verdicts.others.set(prefixClass, judged);
    }
    verdicts.lastClass = prefixClass;
    verdicts.last = judged;
    judged.counter.count += 1;
    return judged;
  }

  #decide(route: Route, id: number): JudgedRoute {
    const path: Path = { prefix: this.#table.prefix(id), ...route };
    const { refused, rule, set } = judgeImport(path, this.#context);
    const counter = this.#counter(rule ?? refused ?? 'default', refused === undefined ? 'accept' : 'reject');
    if (refused !== undefined) return { route, refused, used: undefined, counter };
    const { attributes, nextHop, source } = changePath(path, set, this.#memo);
    const same = attributes === route.attributes && nextHop === route.nextHop;
    return { route, refused, used: same ? route : { attributes, nextHop, source }, counter };
  }

  #counter(rule: string, action: VerdictCount['action']): VerdictCount {
    const key = `${action} ${rule}`;
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    const made = { rule, action, count: 0 };
    this.#counts.set(key, made);
    return made;
  }
}
