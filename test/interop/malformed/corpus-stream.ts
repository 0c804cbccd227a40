/** Rows about the stream of messages: headers, types, messages at the wrong time (RFC 4271 §6.1, §6.5; RFC 6608). */
import { KEEPALIVE, mandatory, message, open, TESTED4, u16, u8, update } from './bytes.ts';
import type { Outcome, Row } from './corpus.ts';

const GOOD = update({ attributes: mandatory('ebgp'), nlri: TESTED4 });

function row(name: string, hex: string, strict: Row['strict'], more: Partial<Row> = {}): Row {
  const origin = 'RFC 4271 §6.1';
  return { name, origin, session: 'ebgp', phase: 'established', hex, family: 4, strict, acceptable: [], ...more };
}

function headerRows(): Row[] {
  const size: readonly Outcome[] = ['reset 1/2'];
  return [
    row('marker: first octet 0', message(4, '', { marker: `00${'ff'.repeat(15)}` }), ['reset 1/1']),
    row('marker: last octet 0', message(4, '', { marker: `${'ff'.repeat(15)}00` }), ['reset 1/1']),
    row('marker: all zero', message(4, '', { marker: '00'.repeat(16) }), ['reset 1/1']),
    row('length 0', message(4, '', { length: 0 }), size),
    row('length 18', message(4, '', { length: 18 }), size),
    row('length 4097', message(2, '00'.repeat(4078), { length: 4097 }), size),
    row('length 65535', message(2, '', { length: 65_535 }), size),
    row('KEEPALIVE of 20 octets', message(4, '00'), size),
    row('UPDATE of 22 octets', message(2, '000000'), size),
    row('NOTIFICATION of 20 octets', message(3, '06'), size, { acceptable: ['reset'] }),
    row('OPEN of 28 octets', message(1, '04fdeb005a0a63fffe'), size),
    row('ROUTE-REFRESH of 22 octets', message(5, '000100'), ['reset 1/2', 'reset 7/1'], { origin: 'RFC 7313 §5' }),
    ...[0, 6, 7, 9, 128, 255].map((type) =>
      row(`type ${type}`, message(type, '00010001'), ['reset 1/3'], {
        origin: type === 9 ? 'GoBGP 3.10 (nil pointer)' : type === 6 ? 'FRR CVE-2022-37032' : 'RFC 4271 §6.1',
        acceptable: type === 128 ? ['old'] : [], // the refresh message before RFC 2918
      }),
    ),
    row('half a header, then nothing', `${'ff'.repeat(16)}00`, ['silent'], { origin: 'reliability: held back' }),
  ];
}

function timeRows(): Row[] {
  const rfc = { origin: 'RFC 6608' };
  const before = { ...rfc, phase: 'open' as const };
  const confirm = { ...rfc, phase: 'confirm' as const };
  return [
    row('KEEPALIVE before OPEN', KEEPALIVE, ['reset 5/1'], { ...before, acceptable: ['reset'] }),
    row('UPDATE before OPEN', GOOD, ['reset 5/1'], { ...before, acceptable: ['reset'] }),
    row('ROUTE-REFRESH before OPEN', message(5, '00010001'), ['reset 5/1'], { ...before, acceptable: ['reset'] }),
    row('type 9 before OPEN', message(9, ''), ['reset 1/3'], { ...before, origin: 'GoBGP 3.10 (nil pointer)' }),
    row('NOTIFICATION before OPEN', message(3, '0602'), ['reset'], { ...before, origin: 'RFC 4271 §8.2.2' }),
    row('UPDATE in OpenConfirm', GOOD, ['reset 5/2'], { ...confirm, acceptable: ['reset'] }),
    row('OPEN in OpenConfirm', open('ebgp'), ['reset 5/2'], { ...confirm, acceptable: ['reset', 'reset 6/7'] }),
    row('OPEN in Established', open('ebgp'), ['reset 5/3'], {
      ...rfc,
      acceptable: ['reset'],
      origin: 'GoBGP 3.10 (panic)',
    }),
  ];
}

function otherMessages(): Row[] {
  const text = 'ff'.padEnd(512, '41');
  const refresh = (hex: string): string => message(5, hex);
  const survives: readonly Outcome[] = ['old'];
  const note = { origin: 'RFC 4271 §6.4' };
  return [
    row('NOTIFICATION with an unknown code', message(3, 'fefe'), ['reset'], note),
    row('NOTIFICATION 6/2 whose text is cut', message(3, '0602ff41'), ['reset'], { origin: 'BIRD CVE-2019-16159' }),
    row('NOTIFICATION 6/2 with 255 octets of text', message(3, `0602${text}`), ['reset'], {
      origin: 'BIRD CVE-2019-16159',
    }),
    row('NOTIFICATION 6/2 with 4,000 octets', message(3, `0602${'80'.repeat(4000)}`), ['reset'], {
      origin: 'BIRD CVE-2019-16159',
    }),
    row('NOTIFICATION 6/2 with control characters', message(3, '0602041b5b324a'), ['reset'], {
      origin: 'reliability §7: log injection',
    }),
    row('NOTIFICATION 6/9 without what it wraps', message(3, '0609'), ['reset'], { origin: 'RFC 8538 §3' }),
    row('ROUTE-REFRESH for an unknown family', refresh('40040047'), survives, { origin: 'RFC 2918 §4' }),
    row('ROUTE-REFRESH with an unknown subtype', refresh('0001ff01'), survives, { origin: 'RFC 7313 §5' }),
    row('ROUTE-REFRESH with an ORF cut short', refresh('0001000101400003'), ['reset 1/2', 'reset 7/1', 'old'], {
      origin: 'FRR CVE-2023-41360',
    }),
    row(
      'ROUTE-REFRESH with an ORF length beyond the message',
      refresh(`00010001014000ff${'00'.repeat(8)}`),
      ['reset 1/2', 'reset 7/1', 'old'],
      { origin: 'FRR CVE-2023-41360' },
    ),
    row('dynamic CAPABILITY message cut short', message(6, `00${u8(1)}${u16(1)}`), ['reset 1/3'], {
      origin: 'FRR CVE-2022-37032',
    }),
    row('100 KEEPALIVEs at once', KEEPALIVE.repeat(100), survives, { origin: 'reliability §3' }),
    row('100 UPDATEs at once', GOOD.repeat(100), ['kept'], { origin: 'reliability §3' }),
  ];
}

export function streamRows(): readonly Row[] {
  return [...headerRows(), ...timeRows(), ...otherMessages()];
}
