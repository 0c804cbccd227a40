// The story of felix-routes.test.ts once more, with the routes written by the netlink thread.
import { createRequire } from 'node:module';
import { test } from 'node:test';

function hasKoffi(): boolean {
  try {
    createRequire(import.meta.url)('koffi');
    return true;
  } catch {
    return false;
  }
}

if (hasKoffi()) {
  process.env['FELIX_TEST_BACKEND'] = 'netlink';
  await import('./felix-routes.test.ts');
} else test('routes by netlink', { skip: 'the optional package koffi is not installed' }, () => undefined);
