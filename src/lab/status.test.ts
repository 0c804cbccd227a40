import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportedSessions } from './status.ts';

const cases = [
  { name: 'no report at all', report: undefined, sessions: '' },
  { name: 'a report without BGP', report: { status: {} }, sessions: '' },
  {
    name: 'two of three established',
    report: { status: { bgp: { peers: [{ state: 'established' }, { state: 'Established' }, { state: 'active' }] } } },
    sessions: '2/3',
  },
] as const;

for (const c of cases) {
  test(`sessions of a node: ${c.name}`, () => {
    assert.equal(reportedSessions(c.report), c.sessions);
  });
}
