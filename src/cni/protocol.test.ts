// The plugin's pure parts: what an invocation means, what each version answers, what the two sides accept from each other.
import { deepEqual, equal, match, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { answerCall } from './answer.ts';
import { parseReach } from './ask.ts';
import { parseConfig, toRequest } from './invocation.ts';
import { toCniResult } from './result.ts';
import type { AddResult, CniRequest } from './verbs.ts';
import {
  CniError,
  decodeConfig,
  formatAnswer,
  formatCall,
  parseAnswer,
  parseCall,
  supportedVersions,
  toCniError,
  type Environment,
} from './wire.ts';

const added: AddResult = {
  hostInterface: { name: 'mx1b7c2f9a4de', mac: 'ee:ee:ee:ee:ee:ee' },
  podInterface: { name: 'eth0', netns: '/var/run/netns/pod', mtu: 1500 },
  addresses: ['10.64.0.1', 'fd00:64::1'],
  routes: [
    { destination: '0.0.0.0/0', gateway: '169.254.1.1' },
    { destination: '::/0', gateway: 'fe80::ecee:eeff:feee:eeee' },
  ],
};

for (const version of supportedVersions) {
  test(`an ADD result of ${version} has the shape of that version`, () => {
    const golden = new URL(`../../test/fixtures/cni/result-${version}.json`, import.meta.url);
    deepEqual(toCniResult(version, added), JSON.parse(readFileSync(golden, 'utf8')));
  });
}

test('an error leaves out details it does not have', () => {
  deepEqual(toCniError('1.0.0', new CniError(11, 'later')), { cniVersion: '1.0.0', code: 11, msg: 'later' });
  deepEqual(toCniError('1.0.0', new CniError(11, 'later', 'why')), {
    cniVersion: '1.0.0',
    code: 11,
    msg: 'later',
    details: 'why',
  });
});

const env: Environment = {
  CNI_CONTAINERID: 'abc',
  CNI_IFNAME: 'eth0',
  CNI_NETNS: '/var/run/netns/pod',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=abc',
};
const config = { cniVersion: '1.1.0', name: 'manx', type: 'manx' };
const attachment = { containerId: 'abc', ifname: 'eth0' };

const requests: readonly { name: string; command: string; config: object; env?: Environment; request: CniRequest }[] = [
  {
    name: 'ADD carries the pod of CNI_ARGS',
    command: 'ADD',
    config: { ...config, mtu: 1400 },
    request: {
      command: 'ADD',
      ...attachment,
      netns: '/var/run/netns/pod',
      pod: { namespace: 'default', name: 'web-0' },
      mtu: 1400,
    },
  },
  {
    name: 'ADD carries the pools of the configuration',
    command: 'ADD',
    config: { ...config, ipam: { ipv4_pools: ['web', '10.65.0.0/16'], ipv6_pools: null } },
    env: { ...env, CNI_ARGS: '' },
    request: {
      command: 'ADD',
      ...attachment,
      netns: '/var/run/netns/pod',
      pod: undefined,
      mtu: undefined,
      pools: { 4: ['web', '10.65.0.0/16'] },
    },
  },
  {
    name: 'ADD works for a runtime that is not Kubernetes',
    command: 'ADD',
    config: { ...config, cniVersion: '0.3.1' },
    env: { ...env, CNI_ARGS: '' },
    request: { command: 'ADD', ...attachment, netns: '/var/run/netns/pod', pod: undefined, mtu: undefined },
  },
  {
    name: 'DEL needs no network namespace: it may be gone',
    command: 'DEL',
    config,
    env: { ...env, CNI_NETNS: '' },
    request: { command: 'DEL', ...attachment },
  },
  {
    name: 'DEL accepts an empty prevResult',
    command: 'DEL',
    config: { ...config, prevResult: {} },
    request: { command: 'DEL', ...attachment },
  },
  {
    name: 'CHECK carries the addresses of prevResult',
    command: 'CHECK',
    config: { ...config, prevResult: { ips: [{ address: '10.64.0.1/32' }] } },
    request: { command: 'CHECK', ...attachment, netns: '/var/run/netns/pod', addresses: ['10.64.0.1'] },
  },
  {
    name: 'GC carries the valid attachments and needs no container',
    command: 'GC',
    config: { ...config, 'cni.dev/valid-attachments': [{ containerID: 'abc', ifname: 'eth0' }] },
    env: {},
    request: { command: 'GC', valid: [attachment] },
  },
  { name: 'STATUS needs nothing', command: 'STATUS', config, env: {}, request: { command: 'STATUS' } },
];
for (const row of requests) {
  test(row.name, () => {
    const request = toRequest(row.command, row.env ?? env, parseConfig(decodeConfig(JSON.stringify(row.config))));
    deepEqual(request, row.request);
  });
}

const refusals: readonly {
  name: string;
  command?: string;
  config?: unknown;
  env?: Environment;
  code: number;
  message: RegExp;
}[] = [
  { name: 'a version of the future', config: { ...config, cniVersion: '2.0.0' }, code: 1, message: /2\.0\.0/ },
  { name: 'a version of the past', config: { ...config, cniVersion: '0.2.0' }, code: 1, message: /0\.2\.0/ },
  { name: 'no version', config: { name: 'manx' }, code: 1, message: /cniVersion/ },
  {
    name: 'CHECK before it existed',
    command: 'CHECK',
    config: { ...config, cniVersion: '0.3.1' },
    code: 1,
    message: /CHECK needs/,
  },
  {
    name: 'STATUS before it existed',
    command: 'STATUS',
    config: { ...config, cniVersion: '1.0.0' },
    code: 1,
    message: /STATUS needs/,
  },
  { name: 'an IPAM plugin', config: { ...config, ipam: { type: 'host-local' } }, code: 2, message: /host-local/ },
  {
    name: 'no container id',
    env: { ...env, CNI_CONTAINERID: undefined },
    code: 4,
    message: /CNI_CONTAINERID is missing/,
  },
  {
    name: 'a container id that is a path',
    env: { ...env, CNI_CONTAINERID: '../x' },
    code: 4,
    message: /CNI_CONTAINERID/,
  },
  { name: 'a long interface name', env: { ...env, CNI_IFNAME: 'a234567890123456' }, code: 4, message: /CNI_IFNAME/ },
  { name: 'ADD without a namespace', env: { ...env, CNI_NETNS: '' }, code: 4, message: /CNI_NETNS is missing/ },
  { name: 'CNI_ARGS without a value', env: { ...env, CNI_ARGS: 'a' }, code: 4, message: /CNI_ARGS/ },
  { name: 'an unknown verb', command: 'MOVE', code: 4, message: /MOVE/ },
  { name: 'a list as configuration', config: [], code: 6, message: /not a JSON object/ },
  { name: 'no network name', config: { cniVersion: '1.1.0' }, code: 7, message: /name/ },
  { name: 'a relative socket', config: { ...config, socket: 'x.sock' }, code: 7, message: /socket/ },
  { name: 'an MTU no interface takes', config: { ...config, mtu: 70 }, code: 7, message: /mtu/ },
  {
    name: 'pools that are no list',
    config: { ...config, ipam: { ipv4_pools: 'web' } },
    code: 7,
    message: /ipam\.ipv4_pools: expected a list of pool names or CIDRs/,
  },
  { name: 'CHECK without prevResult', command: 'CHECK', code: 7, message: /prevResult/ },
  { name: 'GC without the list', command: 'GC', code: 7, message: /valid-attachments/ },
  {
    name: 'a deadline beyond that of the kubelet',
    config: { ...config, timeoutSec: 300 },
    code: 7,
    message: /timeoutSec/,
  },
];
for (const row of refusals) {
  test(`refused with code ${row.code}: ${row.name}`, () => {
    const act = (): unknown =>
      parseReach({ ...(row.config ?? config) }) &&
      toRequest(row.command ?? 'ADD', row.env ?? env, parseConfig(decodeConfig(JSON.stringify(row.config ?? config))));
    throws(act, (error: unknown) => {
      equal(error instanceof CniError && error.code, row.code);
      match(String(error), row.message);
      return true;
    });
  });
}

test('call and answer survive the wire', async () => {
  const call = { env: { CNI_COMMAND: 'ADD', CNI_ARGS: 'a="\\"\n' }, config: '{"name":"\u0001\u2028"}\n' };
  deepEqual(parseCall(formatCall(call)), call);
  for (const answer of [
    { ok: true, stdout: '' },
    { ok: false, stdout: '{"code":11}' },
  ]) {
    equal(formatAnswer(answer).at(-1), '\n');
    deepEqual(parseAnswer(formatAnswer(answer).slice(0, -1)), answer);
  }
});

test('an outcome is worded in the version that was asked for, an unexpected one as code 11', async () => {
  const line = (version: string): string =>
    formatCall({
      env: { ...env, CNI_COMMAND: 'DEL' },
      config: JSON.stringify({ ...config, cniVersion: version }),
    });
  const unexpected: unknown[] = [];
  const ask = (version: string, outcome: () => Promise<{ ok: true; result: undefined }>) =>
    answerCall(line(version), outcome, (error) => unexpected.push(error));
  deepEqual(await ask('0.4.0', async () => ({ ok: true, result: undefined })), { ok: true, stdout: '' });
  const refused = await ask('0.4.0', () => Promise.reject(new CniError(100, 'no address', 'NO_POOL')));
  deepEqual(JSON.parse(refused.stdout), { cniVersion: '0.4.0', code: 100, msg: 'no address', details: 'NO_POOL' });
  const surprised = await ask('1.0.0', () => Promise.reject(new TypeError('surprise')));
  equal((JSON.parse(surprised.stdout) as { code: number }).code, 11);
  equal(unexpected.length, 1);
  const future = await ask('9.9', async () => ({ ok: true, result: undefined }));
  deepEqual([future.ok, (JSON.parse(future.stdout) as { code: number }).code], [false, 1]);
});

test('whatever bytes arrive, either side answers and nothing is thrown but a CniError', async () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({ protocol: fc.constant(2), env: fc.anything(), config: fc.anything() })
      .map((value) => JSON.stringify(value)),
    fc
      .record({ command: fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC'), id: fc.string(), config: fc.json() })
      .map(({ command, id, config: text }) =>
        formatCall({
          env: { ...env, CNI_COMMAND: command, CNI_CONTAINERID: id },
          config: text,
        }),
      ),
  );
  await fc.assert(
    fc.asyncProperty(anything, async (line) => {
      for (const parse of [parseCall, parseAnswer, decodeConfig]) {
        try {
          parse(line);
        } catch (error) {
          if (!(error instanceof CniError)) throw error;
        }
      }
      const fail = (error: unknown): never => {
        throw error;
      };
      parseAnswer(
        formatAnswer(await answerCall(line, async () => ({ ok: true, result: undefined }), fail)).slice(0, -1),
      );
    }),
  );
});
