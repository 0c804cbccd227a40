/** The update groups there are: one for each way of being told, gone with its last member. */
import type { WireContext } from '../wire/context.ts';
import type { ExportTarget } from './export.ts';
import type { LocRib } from './loc-rib.ts';
import { type Member, UpdateGroup } from './update-group.ts';

export class UpdateGroups {
  readonly #locRib: LocRib;
  readonly #groups = new Map<string, UpdateGroup>();

  constructor(locRib: LocRib) {
    this.#locRib = locRib;
  }

  /** The group of peers that are told exactly so; made where there is none. */
  groupFor(target: ExportTarget, context: WireContext): UpdateGroup {
    const { name: _n, peerRouterId: _r, memo: _m, cache: _c, ...told } = target;
    const key = JSON.stringify([told, context]);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const made = new UpdateGroup(this.#locRib, target, context);
    this.#groups.set(key, made);
    return made;
  }

  leave(group: UpdateGroup, member: Member): void {
    group.leave(member);
    if (group.members > 0) return;
    for (const [key, other] of this.#groups) if (other === group) this.#groups.delete(key);
  }

  /** The best paths of these prefixes have changed. */
  apply(ids: readonly number[]): void {
    for (const group of this.#groups.values()) group.apply(ids);
  }

  mark(marks: Uint8Array): void {
    for (const group of this.#groups.values()) group.mark(marks);
  }
}
