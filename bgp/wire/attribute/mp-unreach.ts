/**
 * MP_UNREACH_NLRI (15): withdrawn routes of any family (RFC 4760 §4); alone and without prefixes it is the End-of-RIB
 * marker of its family (RFC 4724 §2). IPv4 unicast withdrawn this way is as good as in the Withdrawn Routes field.
 *
 *   +-------------------------------+---------------+---------------+
 *   |              AFI              |      SAFI     |  Withdrawn …  |
 *   +-------------------------------+---------------+---------------+
 */
import type { Family } from '#net';
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import type { WireContext } from '../context.ts';
import { fromAfiSafi, toAfiSafi } from '../family.ts';
import { decodeNlri } from '../nlri.ts';
import { readU16 } from '../reader.ts';
import { Writer } from '../writer.ts';
import { AttributeClass, type AttributeDraft, type AttributeRow, type Fault } from './row.ts';

const FIXED_BYTES = 3;

export const mpUnreach: AttributeRow = {
  code: AttributeCode.mpUnreach,
  name: 'MP_UNREACH_NLRI',
  rfc: 'RFC 4760 §4',
  class: AttributeClass.optionalNonTransitive,
  malformed: 'reset', // RFC 7606 §7.12
  mandatory: 'never',
  scope: 'any',
  decode: decodeMpUnreach,
};

function decodeMpUnreach(value: Uint8Array, draft: AttributeDraft, context: WireContext): Fault | undefined {
  if (value.length < FIXED_BYTES) {
    const reason = `length is ${value.length}, expected at least ${FIXED_BYTES}`;
    return { subcode: UpdateSubcode.optionalAttributeError, reason };
  }
  const afi = readU16(value, 0);
  const safi = value[2] ?? 0;
  const family = fromAfiSafi(afi, safi);
  if (family === undefined || !context.families.includes(family)) {
    draft.ignoredFamily = `${afi}/${safi}`;
    return undefined;
  }
  const prefixes = decodeNlri(family, value, { start: FIXED_BYTES, end: value.length });
  if (prefixes === undefined) {
    return { subcode: UpdateSubcode.optionalAttributeError, reason: 'prefixes are syntactically incorrect' };
  }
  draft.mpUnreach = { family, prefixes };
  return undefined;
}

/** The value up to its prefixes, for the packer. */
export function encodeMpUnreachHead(family: Family): Uint8Array {
  const { afi, safi } = toAfiSafi(family);
  return new Writer().u16(afi).u8(safi).finish();
}
