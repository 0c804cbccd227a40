// Readiness as a list of named claims, each read from its owner when asked. A claim is a fault in words, or undefined.
//
// Invariant: every check is named from the start; one whose owner does not exist yet says so instead of passing.
export interface Check {
  readonly name: string;
  readonly fault: string | undefined;
  /** Worth a person's attention, yet no reason not to be ready. */
  readonly note?: string;
}

export interface Health {
  /** Hands the check `name` to its owner: `read` returns what is wrong, undefined when nothing is. */
  claim(name: string, read: () => string | undefined): void;
  /** Adds what `read` says to the check, without failing it. */
  note(name: string, read: () => string | undefined): void;
  checks(): readonly Check[];
  faults(): readonly Check[];
}

export function createHealth(names: readonly string[]): Health {
  const readers = new Map<string, () => string | undefined>(names.map((name) => [name, () => 'not started yet']));
  const notes = new Map<string, () => string | undefined>();
  const checks = (): readonly Check[] =>
    [...readers].map(([name, read]) => {
      const note = notes.get(name)?.();
      return { name, fault: read(), ...(note === undefined ? {} : { note }) };
    });
  return {
    claim: (name, read) => void readers.set(name, read),
    note: (name, read) => void notes.set(name, read),
    checks,
    faults: () => checks().filter((check) => check.fault !== undefined),
  };
}

/** The text of /readyz?verbose, in the form of Kubernetes: `[+]name ok`, `[-]name failed: why`. */
export function formatChecks(checks: readonly Check[]): string {
  const lines = checks.map(({ name, fault, note }) => {
    const verdict = fault === undefined ? `[+]${name} ok` : `[-]${name} failed: ${fault}`;
    return note === undefined ? verdict : `${verdict} (note: ${note})`;
  });
  const failed = checks.some((check) => check.fault !== undefined);
  return [...lines, failed ? 'readyz check failed' : 'readyz check passed', ''].join('\n');
}
