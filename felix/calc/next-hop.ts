/**
 * Recursive next hops (RFC 4271 §5.1.3), resolved here because the kernel refuses a gateway that is not directly
 * connected: a BGP next hop → gateway and device, through the kernel's routes that are *not* ours, the default route
 * included. Pure. Invariant: our own routes never take part, so no learned route can resolve through another.
 */
import { familyOf, type Ip, type Prefix, PrefixMap } from '#net';
import type { NextHop, Route } from '../iproute2/route.ts';

/** How the node reaches things without us. */
export interface Underlay {
  /** Main-table routes of every other protocol. */
  readonly routes: readonly Route[];
  /** All addresses of this namespace. */
  readonly addresses: ReadonlySet<Ip>;
}

export type Resolution =
  | { readonly hops: readonly NextHop[] /** The link has no carrier. */; readonly dead: boolean }
  /** Why a packet cannot be sent there. */
  | { readonly reason: string };

/** Answers for one state of the underlay; answers are remembered, since thousands of routes share a next hop. */
export class NextHopResolver {
  readonly #addresses: ReadonlySet<Ip>;
  readonly #table = new PrefixMap<Route>();
  readonly #known = new Map<Ip, Resolution>();

  constructor(underlay: Underlay) {
    this.#addresses = underlay.addresses;
    for (const route of underlay.routes) {
      const other = this.#table.get(route.prefix);
      if (other === undefined || isPreferred(route, other)) this.#table.set(route.prefix, route);
    }
  }

  isOwnAddress(ip: Ip): boolean {
    return this.#addresses.has(ip);
  }

  /** Gateway and device for one next hop. */
  resolve(nextHop: Ip): Resolution {
    let answer = this.#known.get(nextHop);
    if (answer === undefined) {
      answer = this.#lookUp(nextHop);
      this.#known.set(nextHop, answer);
    }
    return answer;
  }

  /**
   * All next hops of an equal-cost route: the usable ones, or why none is. One whose link has no carrier is used only
   * where there is no other: a flapping single uplink then changes no route.
   */
  resolveAll(nextHops: readonly Ip[]): Resolution {
    const answers = nextHops.map((nextHop) => this.resolve(nextHop));
    const usable = answers.flatMap((answer) => ('hops' in answer ? [answer] : []));
    if (usable.length === 0) {
      const reasons = answers.flatMap((answer) => ('reason' in answer ? [answer.reason] : []));
      return { reason: reasons.length === 0 ? 'it has no next hop' : reasons.join('; ') };
    }
    const live = usable.filter((answer) => !answer.dead);
    const hops = new Map<string, NextHop>();
    for (const answer of live.length > 0 ? live : usable) {
      for (const hop of answer.hops) hops.set(`${hop.gateway ?? ''}%${hop.device}`, hop);
    }
    return { hops: [...hops.values()], dead: live.length === 0 };
  }

  #lookUp(nextHop: Ip): Resolution {
    if (this.#addresses.has(nextHop)) return { reason: `next hop ${nextHop} is this node itself` };
    const found = this.#table.longestMatch(nextHop);
    if (found === undefined) return { reason: `no route to next hop ${nextHop}` };
    const { prefix, value: route } = found;
    if (route.type !== 'unicast') return { reason: `next hop ${nextHop} is behind ${route.type} route ${prefix}` };
    return { hops: route.nextHops.map((hop) => ({ ...hop, gateway: hop.gateway ?? nextHop })), dead: route.dead };
  }
}

/** A live route before a dead one, then the lower metric, as the kernel chooses. */
function isPreferred(route: Route, other: Route): boolean {
  return route.dead === other.dead ? route.metric < other.metric : other.dead;
}

/** The node's own address of a prefix's family that this namespace really holds: the kernel refuses any other source. */
export function sourceFor(prefix: Prefix, node: readonly Ip[], resolver: NextHopResolver): Ip | undefined {
  const family = prefix.includes(':') ? 6 : 4;
  return node.find((ip) => familyOf(ip) === family && resolver.isOwnAddress(ip));
}
