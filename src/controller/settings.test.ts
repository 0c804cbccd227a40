// The settings table: defaults, values, and every fault at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SettingsError } from '#program';
import { readSettings } from './settings.ts';

test('defaults stand for what is not set', () => {
  assert.deepEqual(readSettings({ PATH: '/bin' }), {
    kubeconfig: undefined,
    metricsAddress: { host: '127.0.0.1', port: 9092 },
    logLevel: 'info',
    leaseNamespace: 'kube-system',
    leaseName: 'manx-controller',
    graceMs: 900_000,
  });
});

test('values are read with their units', () => {
  const settings = readSettings({
    MANX_LEAK_GRACE_PERIOD: '2h',
    MANX_METRICS_ADDRESS: '[::1]:80',
    MANX_LEASE_NAMESPACE: 'manx',
  });
  assert.equal(settings.graceMs, 7_200_000);
  assert.deepEqual(settings.metricsAddress, { host: '::1', port: 80 });
  assert.equal(settings.leaseNamespace, 'manx');
});

test('every fault is named, and so is a setting that does not exist', () => {
  const env = {
    MANX_LEAK_GRACE_PERIOD: '0s',
    MANX_LEASE_NAME: 'Manx',
    MANX_KUBECONFIG: 'relative',
    MANX_NODE_NAME: 'n1',
    MANX_SERVICE_HOST: '10.0.0.1',
  };
  assert.throws(
    () => readSettings(env),
    (error: unknown) => {
      assert.ok(error instanceof SettingsError);
      const named = error.faults.map((fault) => fault.replace(/ .*/, ''));
      assert.deepEqual(named.toSorted(), [
        'MANX_KUBECONFIG',
        'MANX_LEAK_GRACE_PERIOD',
        'MANX_LEASE_NAME',
        'MANX_NODE_NAME',
      ]);
      return true;
    },
  );
});
