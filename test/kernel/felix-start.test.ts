import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FelixProcess, Namespace } from '../support/namespaces.ts';
import { hasProgram, needRoot } from '../support/need.ts';

/** Starts Felix with these programs only, and says how that ended. */
describe('a host that lacks something', needRoot('ip', 'nsenter', 'nft', 'setpriv'), () => {
  let namespace: Namespace;
  let bin: string;
  before(() => {
    namespace = new Namespace('bare');
    bin = mkdtempSync(join(tmpdir(), 'mxt-bin-'));
  });
  after(() => {
    namespace.remove();
    rmSync(bin, { recursive: true });
  });

  const programs = ['sh', 'ip', 'nsenter', 'unshare', 'nft'];

  async function start(options: {
    without?: string;
    settings?: object;
    wrapper?: readonly string[];
  }): Promise<unknown> {
    rmSync(bin, { recursive: true });
    bin = mkdtempSync(join(tmpdir(), 'mxt-bin-'));
    for (const program of programs.filter((name) => name !== options.without && hasProgram(name))) {
      symlinkSync(namespace.sh(`command -v ${program}`).trim(), join(bin, program));
    }
    const felix = new FelixProcess(namespace, options.settings, { env: { PATH: bin }, wrapper: options.wrapper ?? [] });
    try {
      await felix.call('start');
      return await felix.call('status');
    } finally {
      await felix.stop();
    }
  }

  test('without ip it names the program and the package', async () => {
    await assert.rejects(start({ without: 'ip' }), {
      code: 'PROGRAM_MISSING',
      message: 'program ip was not found in PATH: install iproute2',
    });
  });

  test('without nsenter it names the program and the package', async () => {
    await assert.rejects(start({ without: 'nsenter' }), {
      code: 'PROGRAM_MISSING',
      message: /nsenter .* install util-linux/,
    });
  });

  test('without the capabilities it names them', async () => {
    const wrapper = ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-all'];
    await assert.rejects(start({ wrapper }), { code: 'NOT_ROOT', message: /lacks CAP_NET_ADMIN: run it as root/ });
  });

  test('without nft it starts, and says that source NAT is not available', async () => {
    const status = (await start({ without: 'nft' })) as { nat: { available: boolean; reason: string } };
    assert.deepEqual(status.nat, { available: false, reason: 'program nft was not found in PATH: install nftables' });
  });

  const settings: readonly (readonly [object, RegExp])[] = [
    [{ interfacePrefix: 'toolong' }, /interfacePrefix: expected 1 to 4/],
    [{ routeProtocol: 2 }, /routeProtocol: expected an integer from 5 to 255/],
    [{ metric: 0 }, /metric/],
    [{ mtu: 1 }, /mtu/],
    [{ resyncMs: 0 }, /resyncMs/],
  ];
  for (const [setting, message] of settings) {
    test(`with ${JSON.stringify(setting)} it refuses to start`, async () => {
      await assert.rejects(start({ settings: setting }), { code: 'INVALID', message });
    });
  }

  test('a failed start leaves nothing behind and can be repeated', async () => {
    const before = namespace.sh('ip addr; ip route; nft list ruleset');
    await assert.rejects(start({ without: 'ip' }));
    await start({});
    assert.equal(namespace.sh('ip addr; ip route; nft list ruleset'), before);
  });
});
