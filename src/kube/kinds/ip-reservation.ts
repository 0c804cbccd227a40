/** IPReservation (crds/ipreservations.yaml): addresses that only pods that ask for them by name get. */
import { AddressError, hostPrefix, type Prefix, parseIp, parsePrefix } from '#net';
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';

export interface IPReservation {
  readonly name: string;
  readonly cidrs: readonly Prefix[];
}

export function parseIPReservation(object: KubeObject): ParseResult<IPReservation> {
  return parseFields(object, readIPReservation);
}

function readIPReservation(object: Fields): IPReservation {
  const spec = object.fields('spec');
  const cidrs = spec.list('reservedCIDRs').map((value, index) => readRange(spec, value, index));
  return { name: object.fields('metadata').requiredText('name'), cidrs };
}

function readRange(spec: Fields, value: unknown, index: number): Prefix {
  const field = `reservedCIDRs[${index}]`;
  if (typeof value !== 'string') return spec.fail(field, 'must be a string');
  try {
    return value.includes('/') ? parsePrefix(value) : hostPrefix(parseIp(value));
  } catch (error) {
    if (error instanceof AddressError) return spec.fail(field, error.message);
    throw error;
  }
}
