// The contract of route back ends on a real kernel: this file starts itself once more inside a namespace of its own.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openNetlinkBackend } from '#libc';
import { systemTimers } from '#observe';
import { createIproute2Backend } from '../../felix/driver/iproute2-backend.ts';
import { routeBackendContract } from '../../felix/driver/route-backend.contract.ts';
import { createBatch } from '../../felix/iproute2/batch.ts';
import { startChild } from '../../felix/iproute2/run.ts';
import { createShell } from '../../felix/iproute2/shell.ts';
import { connect, Namespace } from '../support/namespaces.ts';
import { needRoot } from '../support/need.ts';

const sh = (script: string): string => execFileSync('sh', ['-c', script], { encoding: 'utf8' });

function hasKoffi(): boolean {
  try {
    createRequire(import.meta.url)('koffi');
    return true;
  } catch {
    return false;
  }
}

if (process.env['MANX_TEST_INSIDE'] === undefined) {
  describe('route back ends', needRoot('ip', 'nsenter'), () => {
    test('every back end keeps the contract', () => {
      const [node, rack] = [new Namespace('node'), new Namespace('rack')];
      try {
        const uplink = { at: node, device: 'up0', addresses: ['172.18.0.2/24', 'fd18::2/64'] };
        connect(uplink, { at: rack, device: 'down0', addresses: ['172.18.0.1/24', 'fd18::1/64'] });
        const self = [process.execPath, '--test-reporter=tap', fileURLToPath(import.meta.url)];
        const env: NodeJS.ProcessEnv = { ...process.env, MANX_TEST_INSIDE: '1' };
        delete env['NODE_TEST_CONTEXT'];
        const done = spawnSync('nsenter', [`--net=${node.path}`, ...self], { encoding: 'utf8', env, timeout: 60_000 });
        assert.equal(done.status, 0, done.stdout + done.stderr);
        assert.match(done.stdout, /# pass 14|# pass 28/);
      } finally {
        for (const namespace of [node, rack]) namespace.remove();
      }
    });
  });
} else {
  routeBackendContract(
    'iproute2',
    (ownership) => {
      const batch = createBatch({ startChild, timers: systemTimers, timeoutMs: 5000 });
      const shell = createShell({ startChild, timers: systemTimers, size: 1, timeoutMs: 5000 });
      const backend = createIproute2Backend({ batch, shell, ownership });
      const stop = () => {
        batch.stop();
        shell.stop();
      };
      return Promise.resolve({ ...backend, stop });
    },
    sh,
  );
  if (hasKoffi()) {
    routeBackendContract(
      'netlink',
      async (ownership) => {
        const opened = await openNetlinkBackend(ownership);
        if ('reason' in opened) throw new Error(opened.reason);
        return opened;
      },
      sh,
    );
  }
}
