import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePrefix } from '#net';
import { type AffinityEvent, type AffinityState, newAffinity, stepAffinity } from './affinity.ts';

const PENDING = newAffinity('a', parsePrefix('10.64.0.0/26'));

// Every state with every event; `none` where the step is refused.
const TABLE: Readonly<Record<AffinityState, Readonly<Record<AffinityEvent, AffinityState | 'none'>>>> = {
  pending: { claim: 'pending', blockIsOurs: 'confirmed', release: 'pendingDeletion', releaseRefused: 'none' },
  confirmed: { claim: 'pending', blockIsOurs: 'confirmed', release: 'pendingDeletion', releaseRefused: 'none' },
  pendingDeletion: { claim: 'pending', blockIsOurs: 'none', release: 'pendingDeletion', releaseRefused: 'confirmed' },
};

describe('an affinity', () => {
  test('begins as pending', () => assert.equal(PENDING.state, 'pending'));

  for (const state of ['pending', 'confirmed', 'pendingDeletion'] as const) {
    for (const event of ['claim', 'blockIsOurs', 'release', 'releaseRefused'] as const) {
      test(`${state} becomes ${TABLE[state][event]} by ${event}`, () => {
        const affinity = { ...PENDING, state };
        const next = stepAffinity(affinity, event);
        assert.equal(next?.state ?? 'none', TABLE[state][event]);
        assert.equal(next === affinity, TABLE[state][event] === state, 'the same object exactly when nothing changes');
      });
    }
  }
});
