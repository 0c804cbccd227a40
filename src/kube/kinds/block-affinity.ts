/** BlockAffinity (crds/blockaffinities.yaml) ↔ the BlockAffinity of #ipam: field by field. */
import type { BlockAffinity } from '#ipam';
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';
import type { BlockAffinitySpec } from '../types.ts';

const STATES = ['pending', 'confirmed', 'pendingDeletion'] as const;

export function parseBlockAffinity(object: KubeObject): ParseResult<BlockAffinity> {
  return parseFields(object, readAffinity);
}

/** `spec` of the object that holds `affinity`. */
export function toAffinitySpec(affinity: BlockAffinity): BlockAffinitySpec {
  return { ...affinity };
}

function readAffinity(object: Fields): BlockAffinity {
  const spec = object.fields('spec');
  spec.word('type', ['host'], 'host');
  const state = spec.requiredText('state');
  return {
    node: spec.requiredText('node'),
    cidr: spec.prefix('cidr'),
    state: STATES.find((word) => word === state) ?? spec.fail('state', `must be one of ${STATES.join(', ')}`),
    deleted: spec.flag('deleted', false),
  };
}
