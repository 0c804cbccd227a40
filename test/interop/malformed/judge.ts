/** Sends one row of the corpus to a speaker and says what came of it, and whether that was right. */
import { pause } from '../two-routers.ts';
import { KEEPALIVE, marker, NEW, open, PLAN, preamble } from './bytes.ts';
import type { Outcome, Row } from './corpus.ts';
import type { RawDriver, RawSession } from './raw-peer.ts';

/** A speaker that takes sessions from any address of the two ranges of the plan. */
export interface Subject {
  readonly name: string;
  /** Make room for a session from this address, where the speaker cannot accept whole ranges. */
  admit(address: string, kind: Row['session']): Promise<void>;
  /** Learned prefixes with their AS path as text. */
  routes(): Promise<ReadonlyMap<string, string>>;
  alive(): boolean;
}

/** Right, right enough, or how it is wrong. */
export type Verdict = 'strict' | 'acceptable' | 'other code' | 'reset' | 'wrong accept' | 'lost' | 'silent' | 'crash';

export function judge(row: Row, outcome: Outcome): Verdict {
  if (row.strict.includes(outcome)) return 'strict';
  if (row.acceptable.includes(outcome)) return 'acceptable';
  if (outcome === 'crash' || outcome === 'silent') return outcome;
  if (outcome.startsWith('reset')) {
    return [...row.strict, ...row.acceptable].some((wanted) => wanted.startsWith('reset')) ? 'other code' : 'reset';
  }
  return outcome === 'withdrawn' ? 'lost' : 'wrong accept';
}

export interface Attempt {
  readonly row: Row;
  /** The raw peer's address: a fresh one per attempt, so that no back-off of an earlier one is met. */
  readonly address: string;
  /** Octets per TCP segment. */
  readonly piece: number;
}

const ANSWER_MS = 4000;
const SILENT_MS = 500;
const SETTLE_MS = 100;
const SETTLE_LOOKS = 3;

export async function attempt(subject: Subject, driver: RawDriver, { row, address, piece }: Attempt): Promise<Outcome> {
  await subject.admit(address, row.session);
  const to = row.session === 'ibgp' ? PLAN.subjectIbgp : PLAN.subjectEbgp;
  const session = await driver.connect(address, to);
  try {
    if (row.phase === 'open') return await sendOpen(subject, session, { row, address, piece });
    session.send(openFrom(row.session, address));
    if (!(await waitFor(session, subject, () => session.has(4)))) return await ended(subject, session);
    if (row.phase === 'confirm') {
      session.send(row.hex, piece);
      await waitFor(session, subject, () => false);
      return await ended(subject, session);
    }
    session.send(KEEPALIVE + preamble(row.session));
    await waitForRoutes(subject, session, (routes) => routes.has(PLAN.tested6) && routes.has(PLAN.tested4));
    session.send(row.hex, piece);
    const waits = row.strict.includes('silent'); // for the rest of a message: the marker would become its rest
    if (!waits) session.send(marker(row.session));
    const limitMs = waits ? SILENT_MS : ANSWER_MS;
    const routes = await waitForRoutes(subject, session, (seen) => seen.has(PLAN.marker), limitMs);
    return routes === undefined ? await ended(subject, session) : await settled(subject, row, read(routes, row));
  } finally {
    session.close();
    await waitForRoutes(subject, undefined, (routes) => !routes.has(PLAN.control) && !routes.has(PLAN.tested6));
  }
}

export function openFrom(kind: Row['session'], address: string): string {
  return open(kind, {
    identifier: address
      .split('.')
      .map((part) => Number(part).toString(16).padStart(2, '0'))
      .join(''),
  });
}

async function sendOpen(subject: Subject, session: RawSession, { row, piece }: Attempt): Promise<Outcome> {
  session.send(row.hex, piece);
  return (await waitFor(session, subject, () => session.has(4))) ? 'accepted' : ended(subject, session);
}

function isRight(row: Row, outcome: Outcome): boolean {
  return ['strict', 'acceptable'].includes(judge(row, outcome));
}

/** A daemon may take a moment to remove what it has dropped: what looks wrong is looked at again. */
async function settled(subject: Subject, row: Row, first: Outcome): Promise<Outcome> {
  let outcome = first;
  for (let looks = 0; looks < SETTLE_LOOKS && !isRight(row, outcome); looks++) {
    await pause(SETTLE_MS);
    if (!subject.alive()) return 'crash';
    outcome = read(await subject.routes(), row);
  }
  return outcome;
}

/** The tested route tells by the end of its path which announcement it is from. */
function read(routes: ReadonlyMap<string, string>, row: Row): Outcome {
  const path = routes.get(row.family === 4 ? PLAN.tested4 : PLAN.tested6);
  if (path === undefined) return 'withdrawn';
  return path === '' || path.includes(`${NEW}`) || (row.name.includes('twice') && path.includes('64999'))
    ? 'kept'
    : 'old';
}

async function ended(subject: Subject, session: RawSession): Promise<Outcome> {
  await pause(session.closed ? 30 : 0); // a crash closes the connection before the process is seen gone
  if (!subject.alive()) return 'crash';
  const notification = session.notification();
  if (notification !== undefined) return `reset ${notification}`;
  return session.closed ? 'reset' : 'silent';
}

/** True when `check` came true before the session ended or the time was over. */
async function waitFor(session: RawSession, subject: Subject, check: () => boolean): Promise<boolean> {
  const end = performance.now() + ANSWER_MS;
  while (performance.now() < end) {
    if (check()) return true;
    if (session.closed || session.notification() !== undefined || !subject.alive()) return check();
    await pause(2);
  }
  return false;
}

async function waitForRoutes(
  subject: Subject,
  session: RawSession | undefined,
  check: (routes: ReadonlyMap<string, string>) => boolean,
  limitMs = ANSWER_MS,
): Promise<ReadonlyMap<string, string> | undefined> {
  const end = performance.now() + limitMs;
  for (let delay = 2; performance.now() < end; delay = Math.min(50, delay * 2)) {
    if (session?.closed || session?.notification() !== undefined || !subject.alive()) return undefined;
    const routes = await subject.routes();
    if (check(routes)) return routes;
    await pause(delay);
  }
  return undefined;
}
