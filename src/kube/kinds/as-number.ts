/** AS numbers that configuration may name: 1 to 4294967294 without AS_TRANS (RFC 6793 §9) and 65535 (RFC 7300). */
import type { Fields } from '../fields.ts';

const RANGE = { min: 1, max: 4_294_967_294 };
const RESERVED: ReadonlyMap<number, string> = new Map([
  [23_456, 'AS_TRANS'],
  [65_535, 'reserved'],
]);

/** The AS number in `field`, undefined when absent. Throws FieldError. */
export function readAsNumber(fields: Fields, field: string): number | undefined {
  const asNumber = fields.integer(field, RANGE);
  const reserved = asNumber === undefined ? undefined : RESERVED.get(asNumber);
  return reserved === undefined ? asNumber : fields.fail(field, `must not be ${asNumber} (${reserved})`);
}
