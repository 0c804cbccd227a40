import type { Family, Ip, Prefix } from '#net';
import type { PathAttributes } from './attribute/attributes.ts';

/** Prefixes of one family that share next hop and attributes. */
export interface AnnouncedGroup {
  readonly attributes: PathAttributes;
  readonly family: Family;
  readonly nextHop: Ip;
  readonly prefixes: readonly Prefix[];
}

/** What has to be told to a peer. */
export interface Changes {
  readonly withdrawn: readonly Prefix[];
  readonly announced: readonly AnnouncedGroup[];
}
