/**
 * IPAMBlock (crds/ipamblocks.yaml) ↔ the Block of #ipam: field by field, only the affinity is spelt differently (`host:NODE`).
 * Whether the parts of a block agree with each other is for #ipam to judge.
 */
import type { Block, BlockAttribute } from '#ipam';
import { checkInteger, type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';
import type { IPAMBlockSpec } from '../types.ts';

const HOST = 'host:';
const SEQUENCE = { min: 0, max: Number.MAX_SAFE_INTEGER };
const ORDINAL = { min: 0, max: 4095 };

export function parseIPAMBlock(object: KubeObject): ParseResult<Block> {
  return parseFields(object, readBlock);
}

/** `spec` of the object that holds `block`. */
export function toBlockSpec(block: Block): IPAMBlockSpec {
  const { affinity, attributes, ...rest } = block;
  const spec = { ...rest, attributes: attributes.map(toAttributeSpec) };
  return affinity === undefined ? spec : { ...spec, affinity: `${HOST}${affinity}` };
}

function toAttributeSpec({ handle, ...rest }: BlockAttribute): IPAMBlockSpec['attributes'][number] {
  return handle === undefined ? rest : { ...rest, handle };
}

function readBlock(object: Fields): Block {
  const spec = object.fields('spec');
  return {
    cidr: spec.prefix('cidr'),
    affinity: readAffinity(spec),
    allocations: spec
      .list('allocations')
      .map((value) => (value === null ? null : checkInteger(value, ORDINAL, 'spec.allocations'))),
    unallocated: spec.list('unallocated').map((value) => checkInteger(value, ORDINAL, 'spec.unallocated')),
    attributes: spec.each('attributes').map(readAttribute),
    sequenceNumber: spec.integer('sequenceNumber', SEQUENCE) ?? spec.fail('sequenceNumber', 'is missing'),
    sequenceNumberForAllocation: readSequences(spec.fields('sequenceNumberForAllocation')),
    deleted: spec.flag('deleted', false),
  };
}

function readAffinity(spec: Fields): string | undefined {
  const text = spec.text('affinity');
  if (text === undefined) return undefined;
  return text.startsWith(HOST) && text.length > HOST.length
    ? text.slice(HOST.length)
    : spec.fail('affinity', 'must be host:NODE');
}

function readAttribute(fields: Fields): BlockAttribute {
  const handle = fields.text('handle');
  const attributes = fields.texts('attributes');
  const releasedAt = fields.text('releasedAt');
  return releasedAt === undefined ? { handle, attributes } : { handle, attributes, releasedAt };
}

function readSequences(fields: Fields): Readonly<Record<string, number>> {
  return Object.fromEntries(
    fields.keys().map((ordinal) => [ordinal, fields.integer(ordinal, SEQUENCE) ?? fields.fail(ordinal, 'is missing')]),
  );
}
