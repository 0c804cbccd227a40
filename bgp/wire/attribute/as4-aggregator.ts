/**
 * AS4_AGGREGATOR (18): the true AGGREGATOR, carried past speakers that know only two octets per AS (RFC 6793 §4.2).
 * Between four-octet speakers it is discarded unread. The layout is AGGREGATOR's with a four-octet AS.
 */
import { AttributeCode, UpdateSubcode } from '../../iana.ts';
import { decodeAggregator, encodeAggregator } from './aggregator.ts';
import { AttributeClass, type AttributeRow } from './row.ts';

export const as4Aggregator: AttributeRow = {
  code: AttributeCode.as4Aggregator,
  name: 'AS4_AGGREGATOR',
  rfc: 'RFC 6793 §4.2',
  class: AttributeClass.optionalTransitive,
  malformed: 'discard', // RFC 6793 §6
  mandatory: 'never',
  scope: 'any',
  decode: (value, draft, context) => {
    if (context.fourOctetAs) return undefined;
    const found = decodeAggregator(value, 4);
    if (typeof found === 'string') return { subcode: UpdateSubcode.optionalAttributeError, reason: found };
    draft.as4Aggregator = found;
    return undefined;
  },
  encode: (attributes, context) => {
    const { aggregator } = attributes;
    if (context.fourOctetAs || aggregator === undefined || aggregator.as <= 0xffff) return undefined;
    return encodeAggregator(aggregator, 4);
  },
};
