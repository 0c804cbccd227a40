/** Rows about OPEN: fixed fields, optional parameters, capabilities (RFC 4271 §6.2, RFC 5492, RFC 9072). */
import { capability, goodCapabilities, message, open, parameter, u16, u32, u8 } from './bytes.ts';
import type { Outcome, Row } from './corpus.ts';

function row(name: string, hex: string, strict: Row['strict'], more: Partial<Row> = {}): Row {
  const origin = 'RFC 4271 §6.2';
  return { name, origin, session: 'ebgp', phase: 'open', hex, family: 4, strict, acceptable: [], ...more };
}

const GOOD = goodCapabilities('ebgp');
const FAMILIES = capability(1, '00010001') + capability(1, '00020001');
const unspecific: readonly Outcome[] = ['reset 2/0'];
const withCapability = (hex: string): string => open('ebgp', { parameters: parameter(2, GOOD + hex) });

function fields(): Row[] {
  return [
    row('version 3', open('ebgp', { version: 3 }), ['reset 2/1']),
    row('version 5', open('ebgp', { version: 5 }), ['reset 2/1']),
    row('version 0', open('ebgp', { version: 0 }), ['reset 2/1']),
    row('AS 0', open('ebgp', { as: 0 }), ['reset 2/2'], { origin: 'RFC 7607 §2' }),
    row(
      'AS of somebody else',
      open('ebgp', { as: 65_055, parameters: parameter(2, FAMILIES + capability(65, u32(65_055))) }),
      ['reset 2/2'],
    ),
    row(
      'four-octet AS 0',
      open('ebgp', { parameters: parameter(2, FAMILIES + capability(65, u32(0))) }),
      ['reset 2/2'],
      {
        origin: 'RFC 7607 §2',
      },
    ),
    row('hold time 1', open('ebgp', { holdTime: 1 }), ['reset 2/6']),
    row('hold time 2', open('ebgp', { holdTime: 2 }), ['reset 2/6']),
    row('hold time 0', open('ebgp', { holdTime: 0 }), ['accepted'], { acceptable: ['reset 2/6'] }),
    row('hold time 65535', open('ebgp', { holdTime: 65_535 }), ['accepted'], { acceptable: ['reset 2/6'] }),
    row('identifier 0.0.0.0', open('ebgp', { identifier: '00000000' }), ['reset 2/3']),
    row('identifier 255.255.255.255', open('ebgp', { identifier: 'ffffffff' }), ['accepted'], {
      origin: 'RFC 6286 §2.1',
      acceptable: ['reset 2/3'],
    }),
    row('our own identifier, other AS', open('ebgp', { identifier: '0a630001' }), ['accepted'], {
      origin: 'RFC 6286 §2.1',
      acceptable: ['reset 2/3'],
    }),
    row('our own identifier, our AS', open('ibgp', { identifier: '0a630001' }), ['reset 2/3'], {
      session: 'ibgp',
      origin: 'RFC 6286 §2.2',
    }),
  ];
}

function parameters(): Row[] {
  const rfc9072 = { origin: 'RFC 9072 §2' };
  const good = parameter(2, GOOD);
  const extended = (body: string, claimed = body.length / 2): string =>
    open('ebgp', { parametersLength: 255, parameters: `ff${u16(claimed)}${body}` });
  const wide = `02${u16(GOOD.length / 2)}${GOOD}`;
  const many = Array.from({ length: 40 }, (_, index) => capability(130 + index, '0102030405060708')).join('');
  return [
    row('no parameters', open('ebgp', { parameters: '' }), ['accepted']),
    row('parameters shorter than the message', open('ebgp', { parametersLength: 2 }), unspecific, {
      acceptable: ['reset 2/4', 'reset 1/2', 'accepted'],
    }),
    row('parameters longer than the message', open('ebgp', { parameters: good, parametersLength: 200 }), unspecific, {
      acceptable: ['reset 1/2'],
    }),
    row('parameter longer than the parameters', open('ebgp', { parameters: `02ff${GOOD}` }), unspecific, {
      acceptable: ['reset 2/4'],
    }),
    row('parameter cut behind its type', open('ebgp', { parameters: `${good}02` }), unspecific, {
      origin: 'FRR CVE-2022-43681',
    }),
    row('parameter cut behind its type, alone', open('ebgp', { parameters: '02' }), unspecific, {
      origin: 'FRR CVE-2022-43681',
    }),
    row('empty capabilities parameter', open('ebgp', { parameters: `0200${good}` }), ['accepted'], {
      origin: 'RFC 5492 §4',
      acceptable: ['reset 2/0'],
    }),
    row('authentication parameter', open('ebgp', { parameters: '010100' }), ['reset 2/4'], {
      acceptable: ['reset 2/5'],
    }),
    row('parameter 77', open('ebgp', { parameters: '4d0100' }), ['reset 2/4']),
    row('extended length, right', extended(wide), ['accepted'], rfc9072),
    row(
      'extended length, one capability per parameter',
      extended(`02${u16(6)}${capability(1, '00010001')}02${u16(6)}${capability(65, u32(65_003))}`),
      ['accepted'],
      rfc9072,
    ),
    row(
      'extended length, 450 octets of unknown capabilities',
      extended(`${wide}02${u16(many.length / 2)}${many}`),
      ['accepted'],
      rfc9072,
    ),
    row('extended length, too few octets', open('ebgp', { parametersLength: 255, parameters: 'ff' }), unspecific, {
      origin: 'FRR CVE-2022-40302',
      acceptable: ['reset 1/2'],
    }),
    row('extended length, length cut', open('ebgp', { parametersLength: 255, parameters: 'ff00' }), unspecific, {
      origin: 'FRR CVE-2022-40302',
      acceptable: ['reset 1/2'],
    }),
    row('extended length beyond the message', extended(wide, 2000), unspecific, {
      origin: 'FRR CVE-2022-40318',
      acceptable: ['reset 1/2'],
    }),
    row('extended length, parameter beyond the parameters', extended(`02ffff${GOOD}`), unspecific, {
      origin: 'FRR CVE-2022-40318',
    }),
  ];
}

function capabilities(): Row[] {
  const bad = (code: number, value: string, name: string, more: Partial<Row> = {}): Row =>
    row(name, withCapability(capability(code, value)), ['reset 2/0', 'accepted'], {
      origin: 'RFC 5492 §5',
      acceptable: ['reset 2/7'],
      ...more,
    });
  return [
    row('capability longer than its parameter', withCapability('4104'), unspecific, {
      origin: 'FRR CVE-2022-36440',
      acceptable: ['reset 2/7', 'accepted'],
    }),
    row('four-octet AS cut at the message end', open('ebgp', { parameters: '02024104' }), unspecific, {
      origin: 'FRR CVE-2022-36440',
      acceptable: ['reset 2/7', 'reset 2/2'],
    }),
    row('capability code alone', withCapability('41'), unspecific, {
      origin: 'FRR CVE-2022-36440',
      acceptable: ['accepted'],
    }),
    bad(65, '00fdeb', 'four-octet AS of 3 octets'),
    bad(1, '000100', 'multiprotocol of 3 octets'),
    bad(1, '0001000100', 'multiprotocol of 5 octets'),
    bad(2, '00', 'route refresh with a value'),
    bad(64, '', 'graceful restart of 0 octets'),
    bad(64, '007800', 'graceful restart of 3 octets'),
    bad(64, '0078000101', 'graceful restart with a cut family'),
    bad(69, '000101', 'ADD-PATH of 3 octets'),
    bad(69, '000101ff', 'ADD-PATH with send/receive 255'),
    bad(71, '00', 'long-lived graceful restart of 1 octet'),
    bad(73, '05', 'FQDN whose name is cut', { origin: 'GoBGP 3.10 (measured)' }),
    bad(73, 'ff41', 'FQDN name longer than the capability', { origin: 'GoBGP 3.10 (measured)' }),
    bad(75, 'ff41', 'software version longer than the capability', {
      origin: 'FRR CVE-2023-41361, GoBGP CVE-2025-43971',
    }),
    bad(75, '', 'software version of 0 octets', { origin: 'GoBGP CVE-2025-43971' }),
    bad(9, '', 'role of 0 octets', { origin: 'RFC 9234 §4.1', acceptable: ['reset 2/7', 'reset 2/11'] }),
    bad(5, '0001', 'extended next hop of 2 octets'),
    row('unknown capability of 0 octets', withCapability(capability(239, '')), ['accepted'], { origin: 'RFC 5492 §3' }),
    row('unknown capability of 200 octets', withCapability(capability(239, 'ab'.repeat(180))), ['accepted'], {
      origin: 'RFC 5492 §3',
    }),
    row('every capability twice', open('ebgp', { parameters: parameter(2, GOOD + GOOD) }), ['accepted'], {
      origin: 'RFC 5492 §4',
    }),
    row('capabilities with different AS', withCapability(capability(65, u32(65_003))), ['accepted'], {
      origin: 'RFC 5492 §4',
    }),
    row(
      'no family in common',
      open('ebgp', { parameters: parameter(2, capability(1, '40040047') + capability(65, u32(65_003))) }),
      ['reset 2/7'],
      {
        origin: 'RFC 5492 §3',
        acceptable: ['accepted'],
      },
    ),
    row('OPEN with octets behind the parameters', message(1, `04fdeb005a0a63fffe${u8(0)}0000`), unspecific, {
      acceptable: ['reset 1/2', 'reset 2/4', 'accepted'],
    }),
  ];
}

export function openRows(): readonly Row[] {
  return [...fields(), ...parameters(), ...capabilities()];
}
