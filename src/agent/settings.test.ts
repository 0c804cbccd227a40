import { deepEqual, equal, match, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { formatSettingsTable, SettingsError } from '#program';
import { readSettings, settingsTable } from './settings.ts';

test('an empty environment gives the defaults and the host name', () => {
  const settings = readSettings({}, 'Node-A');
  equal(settings.nodeName, 'node-a');
  equal(settings.kubeconfig, undefined);
  deepEqual(settings.metricsAddress, { host: '127.0.0.1', port: 9091 });
  equal(settings.mtu, undefined);
  equal(settings.routeProtocol, 84);
  equal(Object.isFrozen(settings), true);
});

test('the variables of a Kubernetes Service named manx-… are nobody’s typing mistake', () => {
  const env = { MANX_METRICS_SERVICE_HOST: '10.0.0.1', MANX_METRICS_PORT_9091_TCP: 'tcp://10.0.0.1:9091' };
  equal(readSettings(env, 'a').nodeName, 'a');
});

test('an empty variable means the default, as in a manifest with an empty value', () => {
  equal(readSettings({ MANX_LOG_LEVEL: '' }, 'a').logLevel, 'info');
});

test('all faults are reported together', () => {
  const env = { MANX_LOG_LEVEL: 'loud', MANX_RUN_DIR: 'run', MANX_MTU: '100', MANX_NODENAME: 'x', OTHER: '1' };
  throws(
    () => readSettings(env, 'a'),
    (error: unknown) => {
      equal(error instanceof SettingsError, true);
      deepEqual((error as SettingsError).faults, [
        'MANX_RUN_DIR is "run": expected an absolute path',
        'MANX_LOG_LEVEL is "loud": expected one of debug, info, warn, error, silent',
        'MANX_MTU is "100": expected 0 for automatic, or a whole number from 1280 to 65535',
        'MANX_NODENAME is not a setting; see docs/reference/config.md',
      ]);
      return true;
    },
  );
});

const addresses = [
  { text: '[::1]:9091', host: '::1', port: 9091 },
  { text: ':9091', host: '', port: 9091 },
  { text: '0.0.0.0:80', host: '0.0.0.0', port: 80 },
] as const;
for (const { text, host, port } of addresses) {
  test(`MANX_METRICS_ADDRESS ${text} is understood`, () => {
    deepEqual(readSettings({ MANX_METRICS_ADDRESS: text }, 'a').metricsAddress, { host, port });
  });
}

for (const text of ['9091', 'a:0', 'a:70000', '::1:80x']) {
  test(`MANX_METRICS_ADDRESS ${text} is refused`, () => {
    throws(() => readSettings({ MANX_METRICS_ADDRESS: text }, 'a'), /MANX_METRICS_ADDRESS/);
  });
}

test('the reference page has a row for every setting', () => {
  for (const { env } of Object.values(settingsTable))
    match(formatSettingsTable(settingsTable), new RegExp(`\\| \`${env}\` \\|`));
});
