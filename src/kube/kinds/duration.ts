/** Times in configuration: hours, minutes and seconds, as in `90s` or `1m30s` (whole numbers; a subset of Go's form). */
import type { Fields } from '../fields.ts';

const FORM = /^(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?$/;

/** Text → seconds. Throws RangeError. */
export function parseDurationSec(text: string): number {
  const match = FORM.exec(text);
  if (match === null || text === '') throw new RangeError(`${JSON.stringify(text)} is no time such as 90s or 1m30s`);
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}

/** Seconds in `field`, undefined when absent; `check` says what is wrong with them. Throws FieldError. */
export function readDurationSec(
  fields: Fields,
  field: string,
  check: (seconds: number) => string | undefined,
): number | undefined {
  if (fields.text(field) === undefined) return undefined;
  const seconds = fields.convert(field, parseDurationSec);
  const fault = check(seconds);
  return fault === undefined ? seconds : fields.fail(field, fault);
}
