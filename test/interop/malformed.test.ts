/**
 * Our speaker under malformed input, over real TCP: the whole corpus (test/interop/malformed), each row whole and in
 * segments of one octet. What is wrong ends its own session or its own route, as the RFCs ask, and nothing else: a
 * bystander's session and route live through all of it, the process too, and its memory stays where it was.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needRoot } from '../support/need.ts';
import { KEEPALIVE, mandatory, open, update } from './malformed/bytes.ts';
import { CORPUS } from './malformed/corpus.ts';
import { Ground } from './malformed/ground.ts';
import { attempt, judge, openFrom } from './malformed/judge.ts';
import { ManxSubject } from './malformed/manx-subject.ts';
import type { RawSession } from './malformed/raw-peer.ts';
import { until } from './two-routers.ts';

const BYSTANDER = '10.99.7.250';
const ITS_PREFIX = '198.18.0.0/24';
const MAX_GROWTH_MIB = 96;

describe('the malformed corpus', { ...needRoot('ip', 'nsenter'), timeout: 120_000 }, () => {
  let ground: Ground;
  let manx: ManxSubject;
  let bystander: RawSession;
  let atFirstMiB = 0;
  let attempts = 0;

  before(async () => {
    ground = new Ground();
    manx = new ManxSubject(ground);
    await manx.listening();
    await manx.keep(BYSTANDER);
    bystander = await ground.driver.connect(BYSTANDER, '10.99.0.1');
    const route = update({ attributes: mandatory('ebgp'), nlri: '18c61200' });
    bystander.send(openFrom('ebgp', BYSTANDER) + KEEPALIVE + route);
    await until('the bystander is heard', async () => (await manx.routes()).has(ITS_PREFIX));
    atFirstMiB = manx.residentMiB();
  });
  after(async () => {
    await ground.driver.stop();
    await ground.remove();
  });

  for (const [form, piece] of [
    ['whole', 65_536],
    ['in segments of one octet', 1],
  ] as const) {
    test(`every row, ${form}, has the outcome the RFCs ask for`, async () => {
      const wrong: string[] = [];
      for (const row of CORPUS) {
        // A burst of 18,000 segments says nothing more than the first hundred.
        if (piece === 1 && row.hex.length > 4096) continue;
        const address = ground.address(attempts++, row.session);
        const outcome = await attempt(manx, ground.driver, { row, address, piece });
        if (attempts % 50 === 0) bystander.send(KEEPALIVE);
        const verdict = judge(row, outcome);
        if (verdict !== 'strict' && verdict !== 'acceptable')
          wrong.push(`${row.name}: ${outcome}, not ${row.strict.join()}`);
      }
      assert.deepEqual(wrong, []);
    });
  }

  test('a peer that stops in the middle of a header is dropped when its hold time is over', async () => {
    const address = ground.address(attempts++, 'ebgp');
    await manx.admit(address, 'ebgp');
    const session = await ground.driver.connect(address, '10.99.0.1');
    session.send(open('ebgp', { holdTime: 3 }) + KEEPALIVE + 'ff'.repeat(16));
    await until('the hold timer speaks', () => session.notification() === '4/0', 6000);
  });

  test('the bystander never noticed, and memory is where it was', async () => {
    assert.equal(bystander.closed, false);
    assert.ok((await manx.routes()).has(ITS_PREFIX));
    assert.ok(!manx.process.lost.includes(ITS_PREFIX));
    const peer = (await manx.process.peers()).find(({ name }) => name === BYSTANDER);
    assert.deepEqual([peer?.state, peer?.flaps], ['established', 0]);
    const grown = manx.residentMiB() - atFirstMiB;
    assert.ok(grown < MAX_GROWTH_MIB, `resident memory grew by ${grown.toFixed(0)} MiB`);
  });
});
