import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { createVirtualTimers } from '#reconcile';
import { FelixError } from '../errors.ts';
import { createBatch } from './batch.ts';
import { createMonitor, type Hint } from './monitor.ts';
import { type Child, type StartChild, startChild } from './run.ts';
import { createShell, quote } from './shell.ts';

/** A child that does what the test says; `lines` is what was written to it. */
class ScriptedChild implements Child {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough({ encoding: 'utf8' });
  readonly stderr = new PassThrough({ encoding: 'utf8' });
  readonly ended: Promise<string>;
  end: (how: string) => void = () => undefined;
  killed = false;
  #text = '';

  constructor() {
    this.ended = new Promise((resolve) => {
      this.end = (how) => {
        this.stdout.end();
        resolve(how);
      };
    });
    this.stdin.on('data', (chunk) => (this.#text += String(chunk)));
    this.stdin.on('finish', () => this.end('exited with 0'));
  }

  get lines(): readonly string[] {
    return this.#text.split('\n').slice(0, -1);
  }

  kill(): void {
    this.killed = true;
    this.end('ended by SIGKILL');
  }
}

function scripted(): { readonly children: ScriptedChild[]; readonly start: StartChild } {
  const children: ScriptedChild[] = [];
  const start: StartChild = () => {
    const child = new ScriptedChild();
    children.push(child);
    return child;
  };
  return { children, start };
}

/** Lets streams deliver what was written. */
const delivered = () => new Promise((resolve) => setImmediate(resolve));

test('batch: a request ends with a line the kernel refuses, whose refusal acknowledges it', async () => {
  const { children, start } = scripted();
  const batch = createBatch({ startChild: start, timers: createVirtualTimers(), timeoutMs: 1000 });
  const done = batch.submit(['route add blackhole 10.0.0.0/26', 'route add blackhole 10.0.1.0/26']);
  await delivered();
  const [child] = children;
  assert.ok(child);
  assert.equal(child.lines.length, 3);
  child.stderr.write('RTNETLINK answers: No such process\nCommand failed -:3\n');
  assert.deepEqual(await done, new Map());
});

test('batch: errors belong to their lines, in any cutting, for requests in flight together', async () => {
  const said = [
    'RTNETLINK answers: File exists\nCommand failed -:2\nRTNETLINK answers: No such process\nCommand failed -:3\n',
    'Cannot find device "x"\nCommand failed -:4\nError: FIB table does not exist.\nCommand failed -:5\n',
  ].join('');
  for (let cut = 0; cut <= said.length; cut += 1) {
    const { children, start } = scripted();
    const batch = createBatch({ startChild: start, timers: createVirtualTimers(), timeoutMs: 1000 });
    const first = batch.submit(['one', 'two']);
    const second = batch.submit(['three']);
    children[0]?.stderr.write(said.slice(0, cut));
    children[0]?.stderr.write(said.slice(cut));
    assert.deepEqual(await first, new Map([[1, 'RTNETLINK answers: File exists']]));
    assert.deepEqual(await second, new Map([[0, 'Cannot find device "x"']]));
  }
});

test('batch: nothing to do writes nothing', async () => {
  const { children, start } = scripted();
  assert.deepEqual(
    await createBatch({ startChild: start, timers: createVirtualTimers(), timeoutMs: 1000 }).submit([]),
    new Map(),
  );
  assert.deepEqual(children[0]?.lines, []);
});

test('batch: a child that dies leaves its requests unknown, and the next request has a new child', async () => {
  const { children, start } = scripted();
  const batch = createBatch({ startChild: start, timers: createVirtualTimers(), timeoutMs: 1000 });
  const lost = batch.submit(['one']);
  children[0]?.end('ip exited with 255');
  await assert.rejects(lost, { code: 'CHILD_LOST', message: /ip exited with 255/ });
  const next = batch.submit(['one']);
  children[1]?.stderr.write('Command failed -:2\n');
  assert.deepEqual(await next, new Map());
  assert.equal(batch.respawns, 1);
});

test('batch: a name that means another interface now gets a new child; the old one finishes what it has', async () => {
  const { children, start } = scripted();
  const batch = createBatch({ startChild: start, timers: createVirtualTimers(), timeoutMs: 1000 });
  const old = batch.submit(['route add 10.0.0.1/32 dev mxa scope link']);
  batch.forget('mxb');
  batch.forget('mxa');
  const next = batch.submit(['route add 10.0.0.1/32 dev mxa scope link']);
  assert.equal(children.length, 2);
  children[1]?.stderr.write('Command failed -:2\n');
  assert.deepEqual(await next, new Map());
  children[0]?.stderr.write('Command failed -:2\n');
  assert.deepEqual(await old, new Map());
});

test('batch: a child that is silent for too long is killed, one that goes on acknowledging is not', async () => {
  const { children, start } = scripted();
  const timers = createVirtualTimers();
  const batch = createBatch({ startChild: start, timers, timeoutMs: 1000 });
  const first = batch.submit(['one']);
  const second = batch.submit(['two']);
  timers.advance(900);
  children[0]?.stderr.write('Command failed -:2\n');
  await first;
  timers.advance(900);
  assert.equal(children[0]?.killed, false);
  timers.advance(100);
  await assert.rejects(second, { code: 'CHILD_LOST' });
  assert.equal(timers.pending(), 0);
});

test('batch: after stop nothing is taken', async () => {
  const batch = createBatch({ startChild: scripted().start, timers: createVirtualTimers(), timeoutMs: 1000 });
  batch.stop();
  await assert.rejects(batch.submit(['one']), { code: 'STOPPED' });
});

function realTimers() {
  return {
    now: () => performance.now(),
    set: (callback: () => void, delayMs: number) => setTimeout(callback, delayMs),
    clear: (handle: object) => clearTimeout(handle as NodeJS.Timeout),
  };
}

test('shell: outputs, exit code and order of scripts are kept, whatever they hold', async () => {
  const shell = createShell({ startChild, timers: realTimers(), size: 2, timeoutMs: 10_000 });
  try {
    assert.deepEqual(await shell.run('echo out; echo err >&2; (exit 3)'), {
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    assert.deepEqual(await shell.run('printf no-newline; true'), { code: 0, stdout: 'no-newline', stderr: '' });
    assert.equal((await shell.run('cat')).stdout, '', 'a script has no input of its own');
    assert.equal((await shell.run('no-such-program')).code, 127);
    const strange = `it's "$HOME" \\ \`x\` *\n${'long '.repeat(20_000)}`;
    assert.equal((await shell.run(`printf %s ${quote(strange)}`)).stdout, strange);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => shell.run(`echo ${n}`)));
    assert.deepEqual(
      answers.map(({ stdout }) => Number(stdout)),
      Array.from({ length: 20 }, (_, n) => n),
    );
    assert.equal(shell.respawns, 0);
  } finally {
    shell.stop();
  }
});

test('shell: a script that takes too long is killed with what it started; the next one has a new shell', async () => {
  const timers = createVirtualTimers();
  const shell = createShell({ startChild, timers, size: 1, timeoutMs: 1000 });
  try {
    const hung = shell.run('sleep 1000');
    const waiting = shell.run('echo next');
    timers.advance(1000);
    await assert.rejects(hung, { code: 'CHILD_LOST', message: /no answer within 1000 ms/ });
    assert.equal((await waiting).stdout, 'next\n');
    assert.equal(shell.respawns, 1);
  } finally {
    shell.stop();
  }
});

test('shell: a script that ends the shell is an error, not a hang', async () => {
  const shell = createShell({ startChild, timers: realTimers(), size: 1, timeoutMs: 10_000 });
  try {
    await assert.rejects(
      shell.run('exit 4'),
      (error: unknown) => error instanceof FelixError && /sh exited with 4/.test(error.message),
    );
    assert.equal((await shell.run('echo again')).stdout, 'again\n');
  } finally {
    shell.stop();
  }
  await assert.rejects(shell.run('true'), { code: 'STOPPED' });
});

test('monitor: lines are hints in any cutting, grumbling is not, lost events are', async () => {
  const { children, start } = scripted();
  const hints: Hint[] = [];
  const timers = createVirtualTimers();
  const monitor = createMonitor({ startChild: start, timers, restartMs: 1000, onHint: (hint) => hints.push(hint) });
  const [child] = children;
  assert.ok(child);
  const line = '[2026-11-20T13:17:58.226645] blackhole 10.50.0.0/26 proto 84 metric 8400 \n';
  child.stdout.write(line.slice(0, 40));
  child.stdout.write(line.slice(40) + line);
  child.stderr.write('Error: Peer netns reference is invalid.\n');
  child.stderr.write('netlink receive error No buffer space available (105)\n');
  await delivered();
  assert.deepEqual(hints.map((hint) => hint.kind).sort(), ['lost', 'route', 'route']);
  monitor.stop();
});

test('monitor: one that ends is started again, and everything is suspect', async () => {
  const { children, start } = scripted();
  const hints: Hint[] = [];
  const timers = createVirtualTimers();
  const monitor = createMonitor({ startChild: start, timers, restartMs: 1000, onHint: (hint) => hints.push(hint) });
  children[0]?.stdout.resume();
  children[0]?.stdout.end();
  await delivered();
  await timers.advanceAsync(1000);
  assert.equal(children.length, 2);
  assert.deepEqual(hints, [{ kind: 'lost', reason: 'the monitor was started again' }]);
  assert.equal(monitor.respawns, 1);
  monitor.stop();
  assert.equal(timers.pending(), 0);
});
