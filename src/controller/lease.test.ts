// Who leads: the state machine as a table, then two candidates on one lease whose calls fail, hang and land late.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  type Candidacy,
  defaultTiming,
  leads,
  type LeaseRead,
  look,
  lost,
  newCandidacy,
  nextStep,
  won,
} from './lease.ts';

const timing = defaultTiming;
const wallTime = '2026-01-01T00:00:00.000Z';

function held(by: string, version = '1', leaseMs = timing.leaseMs): LeaseRead {
  return { version, record: { holder: by, leaseMs, transitions: 3, acquired: 'then' } };
}

const seenAt = (atMs: number, version = '1'): Candidacy => ({ ...newCandidacy, seen: { version, atMs } });

const rows: readonly { name: string; candidacy: Candidacy; lease: LeaseRead; nowMs: number; step: object }[] = [
  {
    name: 'no lease: it is created',
    candidacy: newCandidacy,
    lease: undefined,
    nowMs: 0,
    step: { kind: 'create', record: { holder: 'me', leaseMs: 15_000, acquired: wallTime, transitions: 0 } },
  },
  {
    name: 'a lease given up: it is taken at once',
    candidacy: seenAt(0),
    lease: held(''),
    nowMs: 0,
    step: { kind: 'write', record: { holder: 'me', leaseMs: 15_000, acquired: wallTime, transitions: 4 } },
  },
  {
    name: 'seen for the first time: wait',
    candidacy: seenAt(0),
    lease: held('you'),
    nowMs: 0,
    step: { kind: 'wait', holder: 'you' },
  },
  {
    name: 'unchanged for less than its time: wait',
    candidacy: seenAt(0),
    lease: held('you'),
    nowMs: 14_999,
    step: { kind: 'wait', holder: 'you' },
  },
  {
    name: 'unchanged for its time: it is taken',
    candidacy: seenAt(0),
    lease: held('you'),
    nowMs: 15_000,
    step: { kind: 'write', record: { holder: 'me', leaseMs: 15_000, acquired: wallTime, transitions: 4 } },
  },
  {
    name: 'its holder asked for longer: wait',
    candidacy: seenAt(0),
    lease: held('you', '1', 60_000),
    nowMs: 20_000,
    step: { kind: 'wait', holder: 'you' },
  },
  {
    name: 'its holder asked for less than we are used to: wait all the same',
    candidacy: seenAt(0),
    lease: held('you', '1', 1_000),
    nowMs: 2_000,
    step: { kind: 'wait', holder: 'you' },
  },
  {
    name: 'ours: it is renewed, and remembers when it was acquired',
    candidacy: seenAt(0),
    lease: held('me'),
    nowMs: 2_000,
    step: { kind: 'write', record: { holder: 'me', leaseMs: 15_000, acquired: 'then', transitions: 3 } },
  },
];

for (const { name, candidacy, lease, nowMs, step } of rows) {
  test(name, () => {
    assert.deepEqual(nextStep(candidacy, lease, { identity: 'me', timing, nowMs, wallTime }), step);
  });
}

test('a lease that changed begins a new wait, one that did not goes on with the old', () => {
  assert.deepEqual(look(seenAt(5), held('you'), 9), seenAt(5));
  assert.deepEqual(look(seenAt(5), held('you', '2'), 9), seenAt(9, '2'));
});

test('a leader acts on a renewal from when it was sent until the deadline, and not after it lost', () => {
  const leader = won(newCandidacy, '2', { sentMs: 100, nowMs: 4_000 });
  assert.equal(leads(leader, timing, 10_099), true);
  assert.equal(leads(leader, timing, 10_100), false);
  assert.equal(leads(lost(leader), timing, 200), false);
});

test('of candidates whose calls fail, hang and land late never two lead at once', () => {
  const names = ['a', 'b', 'c'];
  interface Call {
    readonly who: string;
    readonly base: string | undefined;
    readonly record: { holder: string; leaseMs: number; transitions: number; acquired: string };
    readonly sentMs: number;
    readonly landsMs: number;
    readonly answered: boolean;
  }
  const event = fc.record({
    who: fc.constantFrom(...names),
    waitMs: fc.integer({ min: 0, max: 9_000 }),
    delayMs: fc.integer({ min: 0, max: 12_000 }),
    answered: fc.boolean(),
  });
  const small = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let nowMs = 0;
      let revision = 0;
      let lease: LeaseRead;
      let inFlight: Call[] = [];
      const candidates = new Map(names.map((name) => [name, newCandidacy]));
      const land = (): void => {
        for (const call of inFlight
          .filter(({ landsMs }) => landsMs <= nowMs)
          .toSorted((x, y) => x.landsMs - y.landsMs)) {
          inFlight = inFlight.filter((each) => each !== call);
          if (lease?.version !== call.base) continue;
          revision += 1;
          lease = { version: String(revision), record: call.record };
          const candidacy = candidates.get(call.who) ?? newCandidacy;
          if (call.answered)
            candidates.set(call.who, won(candidacy, lease.version, { sentMs: call.sentMs, nowMs: call.landsMs }));
        }
        const leading = names.filter((name) => leads(candidates.get(name) ?? newCandidacy, small, nowMs));
        assert.ok(leading.length <= 1, `${leading.join(' and ')} lead at ${nowMs}`);
      };
      for (const { who, waitMs, delayMs, answered } of events) {
        const target = nowMs + waitMs;
        for (const { landsMs } of inFlight.toSorted((x, y) => x.landsMs - y.landsMs)) {
          nowMs = Math.min(target, Math.max(nowMs, landsMs));
          land();
        }
        nowMs = target;
        land();
        if (inFlight.some((call) => call.who === who)) continue;
        const candidacy = look(candidates.get(who) ?? newCandidacy, lease, nowMs);
        const step = nextStep(candidacy, lease, { identity: who, timing: small, nowMs, wallTime });
        candidates.set(who, step.kind === 'wait' ? lost(candidacy) : candidacy);
        if (step.kind !== 'wait')
          inFlight.push({
            who,
            base: lease?.version,
            record: step.record,
            sentMs: nowMs,
            landsMs: nowMs + delayMs,
            answered,
          });
      }
    }),
    { numRuns: 500 },
  );
});
