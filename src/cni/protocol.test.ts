// The plugin's pure parts: what an invocation means, what each version answers, what the two sides accept from each other.
import { deepEqual, equal, match, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decodeConfig, parseConfig, supportedVersions, toRequest, type Environment } from './invocation.ts';
import {
  CniError,
  formatRequest,
  formatResponse,
  parseRequest,
  parseResponse,
  type AddResult,
  type CniRequest,
} from './protocol.ts';
import { toCniError, toCniResult } from './result.ts';

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
    deepEqual(parseRequest(formatRequest(request)), row.request);
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
      toRequest(row.command ?? 'ADD', row.env ?? env, parseConfig(decodeConfig(JSON.stringify(row.config ?? config))));
    throws(act, (error: unknown) => {
      equal(error instanceof CniError && error.code, row.code);
      match(String(error), row.message);
      return true;
    });
  });
}

test('an answer survives the wire', () => {
  for (const response of [
    { ok: true, result: added },
    { ok: false, code: 11, message: 'later', details: 'why' },
  ] as const) {
    deepEqual(parseResponse(formatResponse(response)), response);
  }
  deepEqual(parseResponse('{"ok":true}'), { ok: true, result: undefined });
});

test('whatever bytes arrive, either side answers with a CniError and nothing else', () => {
  const anything = fc.oneof(
    fc.string(),
    fc.json(),
    fc
      .record({
        protocol: fc.constant(1),
        command: fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC'),
        containerId: fc.anything(),
        ifname: fc.anything(),
        valid: fc.anything(),
        pod: fc.anything(),
        netns: fc.anything(),
      })
      .map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(anything, (line) => {
      for (const parse of [parseRequest, parseResponse, decodeConfig]) {
        try {
          parse(line);
        } catch (error) {
          if (!(error instanceof CniError)) throw error;
        }
      }
    }),
  );
});
