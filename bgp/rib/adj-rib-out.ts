/**
 * Adj-RIB-Out: what one peer was told, and which prefixes have to be looked at again (RFC 4271 §3.2, §9.2).
 *
 * Pure. Changes are not queued, only their prefixes: a peer that reads slowly costs one set entry per prefix, however
 * often the route changes meanwhile, and is told the last state only.
 */
import { type Family, type Ip, type Prefix, prefixFamily } from '#net';
import type { PathAttributes } from '../wire/attribute/attributes.ts';
import type { AnnouncedGroup, Changes } from '../wire/pack.ts';
import { fingerprint } from './path.ts';

export interface RouteOut {
  readonly nextHop: Ip;
  readonly attributes: PathAttributes;
}

export class AdjRibOut {
  readonly #sent = new Map<Prefix, RouteOut>();
  readonly #pending = new Set<Prefix>();
  /** Told before, to be told again even if unchanged (ROUTE-REFRESH). */
  readonly #repeat = new Set<Prefix>();

  get advertised(): number {
    return this.#sent.size;
  }

  get pending(): number {
    return this.#pending.size;
  }

  get(prefix: Prefix): RouteOut | undefined {
    return this.#sent.get(prefix);
  }

  touch(prefix: Prefix): void {
    this.#pending.add(prefix);
  }

  /** Tell all of one family again · RFC 2918 §4. */
  refresh(family: Family): void {
    for (const prefix of this.#sent.keys()) {
      if (prefixFamily(prefix) !== family) continue;
      this.#repeat.add(prefix);
      this.#pending.add(prefix);
    }
  }

  /** Look at everything told so far again, after a change of policy or next hop. */
  touchSent(): void {
    for (const prefix of this.#sent.keys()) this.#pending.add(prefix);
  }

  /** The session ended: the peer knows nothing any more. */
  clear(): void {
    this.#sent.clear();
    this.#pending.clear();
    this.#repeat.clear();
  }

  /** Take at most `limit` pending prefixes and return what the peer has to be told about them, grouped for packing. */
  drain(resolve: (prefix: Prefix) => RouteOut | undefined, limit: number): Changes {
    const withdrawn: Prefix[] = [];
    const groups = new Map<string, AnnouncedGroup & { readonly prefixes: Prefix[] }>();
    let taken = 0;
    for (const prefix of this.#pending) {
      if (taken === limit) break;
      taken += 1;
      this.#pending.delete(prefix);
      const route = resolve(prefix);
      if (route === undefined) {
        if (this.#sent.delete(prefix)) withdrawn.push(prefix);
      } else if (this.#isNews(prefix, route)) {
        this.#sent.set(prefix, route);
        addToGroup(groups, prefix, route);
      }
      this.#repeat.delete(prefix);
    }
    return { withdrawn, announced: [...groups.values()] };
  }

  #isNews(prefix: Prefix, route: RouteOut): boolean {
    const sent = this.#sent.get(prefix);
    if (sent === undefined || this.#repeat.has(prefix) || sent.nextHop !== route.nextHop) return true;
    return sent.attributes !== route.attributes && fingerprint(sent.attributes) !== fingerprint(route.attributes);
  }
}

function addToGroup(
  groups: Map<string, AnnouncedGroup & { readonly prefixes: Prefix[] }>,
  prefix: Prefix,
  { attributes, nextHop }: RouteOut,
): void {
  const family = prefixFamily(prefix);
  const key = `${family} ${nextHop} ${fingerprint(attributes)}`;
  const group = groups.get(key);
  if (group === undefined) groups.set(key, { attributes, family, nextHop, prefixes: [prefix] });
  else group.prefixes.push(prefix);
}
