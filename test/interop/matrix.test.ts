/**
 * Our speaker against BIRD, FRR, GoBGP and OpenBGPD: every story of the matrix (test/interop/matrix). What a daemon does
 * not do is named in REFUSALS and must stay exactly that.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needRoot } from '../support/need.ts';
import { DAEMONS, runStory } from './matrix/run.ts';
import { REFUSALS, STORIES } from './matrix/stories.ts';

// Stories wait far more than they compute.
describe('interop matrix', { concurrency: 6 }, () => {
  for (const story of STORIES) {
    for (const daemon of DAEMONS) {
      const need = needRoot('ip', 'nsenter', 'tcpdump', ...daemon.programs);
      test(`${daemon.name}: ${story.name}`, { ...need, timeout: 120_000 }, async () => {
        const cells = await runStory(daemon, story);
        const unexpected = cells.filter(({ feature, result }) => {
          const refused = REFUSALS[daemon.name]?.[feature];
          return result !== (refused ? 'unsupported' : 'pass');
        });
        assert.deepEqual(unexpected, []);
      });
    }
  }
});
