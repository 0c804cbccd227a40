/** Real sockets with the options of RFC 2385 and RFC 5082, both ends in this process, over loopback addresses. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, test } from 'node:test';
import { createTcpTransport, type DialTarget, type Listener, type SocketPort, type Wire } from '#bgp';
import { createSocketPort } from '#libc';
import { hostPrefix, type Ip, type Prefix, parseIp, parsePrefix } from '#net';
import { hasProgram } from '../support/need.ts';
import { pause, until } from './two-routers.ts';

const sockets = createSocketPort();
const reason = sockets.unavailable();
const options = { ...(reason === undefined ? {} : { skip: reason }), timeout: 20_000 };
const transport = createTcpTransport(sockets);

/** One family: where it listens, who dials, and a range around who dials. */
const families = [
  { name: 'IPv4', server: parseIp('127.0.0.1'), client: parseIp('127.0.0.2'), range: parsePrefix('127.0.0.0/24') },
  { name: 'IPv6', server: parseIp('::1'), client: parseIp('::1'), range: parsePrefix('::/64') },
];
let port = 20_000 + (process.pid % 20_000);
const open: { close?(): void; destroy?(): void }[] = [];
after(() => {
  for (const end of open) {
    end.close?.();
    end.destroy?.();
  }
});

interface Server {
  readonly listener: Listener;
  readonly port: number;
  readonly accepted: { readonly wire: Wire; readonly data: string[] }[];
}

async function serve(address: Ip): Promise<Server> {
  port += 1;
  const accepted: Server['accepted'] = [];
  const at = port;
  const listener = await transport.listen({ address, port: at }, (wire) => {
    const data: string[] = [];
    accepted.push({ wire, data });
    open.push(wire);
    wire.open({ data: (chunk) => void data.push(Buffer.from(chunk).toString()), drained() {}, closed() {} });
  });
  open.push(listener);
  return { listener, port: at, accepted };
}

function protect(server: Server, keys: readonly (readonly [Prefix, string])[], fullTtl = false): void {
  assert.deepEqual([...(server.listener.protect?.({ keys: new Map(keys), fullTtl }) ?? [['?', 'absent']])], []);
}

/** The wire, or undefined when nothing answered within a second. */
async function dial(target: DialTarget): Promise<Wire | undefined> {
  const { promise, resolve } = Promise.withResolvers<Wire | undefined>();
  const dialling = transport.dial(target, { connected: resolve, failed: () => resolve(undefined) });
  const timer = setTimeout(() => {
    dialling.abort();
    resolve(undefined);
  }, 1_000);
  const wire = await promise;
  clearTimeout(timer);
  wire?.open({ data() {}, drained() {}, closed() {} });
  if (wire !== undefined) open.push(wire);
  return wire;
}

async function says(wire: Wire, text: string, server: Server): Promise<void> {
  wire.write(Buffer.from(text));
  await until(`${text} arrives`, () => server.accepted.some(({ data }) => data.join('').includes(text)), 5_000);
}

for (const { name, server: address, client, range } of families) {
  const to = (at: Server, password?: string): DialTarget => ({
    address,
    port: at.port,
    localAddress: client,
    options: password === undefined ? {} : { password },
  });

  test(`${name}: a key lets in who has it, and nobody else`, options, async () => {
    const server = await serve(address);
    protect(server, [[hostPrefix(client), 'right']]);
    assert.equal(await dial(to(server, 'wrong')), undefined);
    assert.equal(await dial(to(server)), undefined);
    const wire = await dial(to(server, 'right'));
    assert.ok(wire !== undefined);
    await says(wire, 'hello', server);
    assert.equal(wire.local, client);
  });

  test(`${name}: a key changes on the listener and on the running connection`, options, async () => {
    const server = await serve(address);
    protect(server, [[hostPrefix(client), 'old']]);
    const wire = await dial(to(server, 'old'));
    assert.ok(wire !== undefined);
    await says(wire, 'before', server);
    protect(server, [[hostPrefix(client), 'new']]);
    assert.equal(server.accepted[0]?.wire.secure?.({ password: 'new' }), undefined);
    wire.write(Buffer.from('meanwhile'));
    await pause(300);
    assert.deepEqual(server.accepted[0]?.data, ['before'], 'the other key is not heard');
    assert.equal(wire.secure?.({ password: 'new' }), undefined);
    await says(wire, 'after', server);
    assert.ok(server.accepted[0]?.data.join('').endsWith('meanwhileafter'), 'nothing was lost');
    assert.equal(await dial(to(server, 'old')), undefined);
    assert.ok((await dial(to(server, 'new'))) !== undefined);
    protect(server, []);
    assert.ok((await dial(to(server))) !== undefined, 'without a key again');
  });

  test(`${name}: a key of a range; the key of one address in it counts more`, options, async () => {
    const server = await serve(address);
    protect(server, [[range, 'range']]);
    assert.ok((await dial(to(server, 'range'))) !== undefined);
    assert.equal(await dial(to(server)), undefined);
    protect(server, [
      [range, 'range'],
      [hostPrefix(client), 'own'],
    ]);
    assert.equal(await dial(to(server, 'range')), undefined);
    assert.ok((await dial(to(server, 'own'))) !== undefined);
  });

  test(`${name}: who sends with a TTL below 255 is not heard (RFC 5082)`, options, async () => {
    const server = await serve(address);
    const target = { address, port: server.port, localAddress: client, options: { ttlSecurity: 1 } };
    assert.equal(await dial(target), undefined, 'the answer of a common listener comes with TTL 64');
    protect(server, [], true);
    const near = await dial(target);
    assert.ok(near !== undefined);
    const far = await dial({ ...target, options: { ttl: 254 } });
    assert.ok(far !== undefined);
    for (const { wire } of server.accepted) assert.equal(wire.secure?.({ ttlSecurity: 1 }), undefined);
    far.write(Buffer.from('far'));
    await says(near, 'near', server);
    await pause(200);
    assert.ok(!server.accepted.some(({ data }) => data.includes('far')));
    for (const { wire } of server.accepted) assert.equal(wire.secure?.({ ttlSecurity: 2 }), undefined);
    await until('two hops are allowed', () => server.accepted.some(({ data }) => data.includes('far')), 5_000);
  });
}

const withSs = { ...options, ...(hasProgram('ss') ? {} : { skip: 'not installed: ss' }) };
test('what we send is marked as network control, class selector 6 (RFC 4594), on both ends', withSs, async () => {
  for (const { server: address, client } of families) {
    for (const asked of [{}, { ttlSecurity: 1 }]) {
      const server = await serve(address);
      protect(server, [], true);
      const wire = await dial({ address, port: server.port, localAddress: client, options: asked });
      assert.ok(wire !== undefined);
      await says(wire, 'marked', server);
      const filter = `( sport = :${server.port} or dport = :${server.port} )`;
      const shown = execFileSync('ss', ['-tnOi', '--tos', 'state', 'established', filter], { encoding: 'utf8' });
      assert.equal([...shown.matchAll(/(tos|tclass):0xc0/g)].length, 2, shown);
    }
  }
});

test('a device that does not exist is a reason, not a connection', options, async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const address = parseIp('127.0.0.1');
  const target = { address, port: 9, localAddress: undefined, options: { interface: 'nosuch0' } };
  transport.dial(target, { connected: () => resolve('connected'), failed: resolve });
  assert.match(await promise, /cannot bind to device nosuch0: (ENODEV|EPERM)/);
});

test('without socket options in the program, what asks for them is refused by name and the rest works', async () => {
  const absent: SocketPort = { ...sockets, unavailable: () => 'the package koffi cannot be loaded' };
  for (const plain of [createTcpTransport(), createTcpTransport(absent)]) {
    assert.match(plain.whyNot?.({ password: 'x', ttlSecurity: 1 }) ?? '', /^tcp md5, ttl security not available: /);
    assert.equal(plain.whyNot?.({}), undefined);
    port += 1;
    const listener = await plain.listen({ address: parseIp('127.0.0.1'), port }, (wire) => open.push(wire));
    open.push(listener);
    const keys = new Map([[parsePrefix('127.0.0.2/32'), 'secret']]);
    const faults = listener.protect?.({ keys, fullTtl: true });
    assert.deepEqual([...(faults?.keys() ?? [])], ['127.0.0.2/32', 'ttl']);
    assert.doesNotMatch(JSON.stringify([...(faults?.values() ?? [])]), /secret/);
  }
});
