// Where a lab keeps its files, and how they are read and written: /run/manx-lab/<lab>/… , gone after `lab down`.
//
//   lab.json        what was asked for, the API port        desired.json   processes that should run   (written by us)
//   kubeconfig      for kubectl and the agents              running.json   processes that do run       (written by the supervisor)
//   api/            the API server's data                   logs/          one file per process
//   <node>/…        the agent's state, run and CNI folders  <tor>/…        bird.conf, bird.ctl
//   pods/<pod>.json what a container runtime remembers of a pod between ADD and DEL
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabSpec } from './topology.ts';

const root = '/run/manx-lab';

export interface LabState {
  readonly spec: LabSpec;
  readonly apiPort: number;
  /** Where the controller answers /readyz and /metrics, on loopback. */
  readonly controllerPort: number;
  readonly supervisorPid: number | undefined;
  /** Nodes of the plan that were taken out since. */
  readonly removedNodes: readonly string[];
}

/** A process of the lab as it should run. `netns` undefined = the host namespace (API server and controller). */
export interface ProcessSpec {
  readonly name: string;
  readonly netns: string | undefined;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  readonly startedAt: string;
  readonly restarts: number;
}

/** What the runtime must remember to undo an ADD. */
export interface PodRecord {
  readonly name: string;
  readonly node: string;
  readonly netns: string;
  readonly containerId: string;
  readonly addresses: readonly string[];
}

export interface LabPaths {
  readonly dir: string;
  readonly state: string;
  readonly desired: string;
  readonly running: string;
  readonly kubeconfig: string;
  readonly api: string;
  readonly logs: string;
  readonly pods: string;
  readonly cli: string;
}

export function labPaths(lab: string): LabPaths {
  const dir = join(root, lab);
  return {
    dir,
    state: join(dir, 'lab.json'),
    desired: join(dir, 'desired.json'),
    running: join(dir, 'running.json'),
    kubeconfig: join(dir, 'kubeconfig'),
    api: join(dir, 'api'),
    logs: join(dir, 'logs'),
    pods: join(dir, 'pods'),
    cli: join(dir, 'manxctl'),
  };
}

export function hostDir(lab: string, host: string): string {
  return join(labPaths(lab).dir, host);
}

/** Names of the labs that left files on this machine. */
export function listLabs(): readonly string[] {
  try {
    return readdirSync(root);
  } catch {
    return [];
  }
}

/** Writes JSON so that a reader sees the old file or the new one, never half. */
export function writeJson(path: string, value: unknown): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(value, undefined, 2)}\n`);
  renameSync(temporary, path);
}

/** The parsed file, or undefined where there is none. */
function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  return JSON.parse(text);
}

// These files are our own, written by writeJson with the types below: reading them back is the one place to assert that.
export const readState = (lab: string): LabState | undefined => readJson(labPaths(lab).state) as LabState | undefined;
export const readDesired = (lab: string): readonly ProcessSpec[] =>
  (readJson(labPaths(lab).desired) ?? []) as ProcessSpec[];
export const readRunning = (lab: string): readonly RunningProcess[] =>
  (readJson(labPaths(lab).running) ?? []) as RunningProcess[];

export function readPods(lab: string): readonly PodRecord[] {
  let names: string[];
  try {
    names = readdirSync(labPaths(lab).pods);
  } catch {
    return [];
  }
  const files = names.filter((name) => name.endsWith('.json')).toSorted();
  return files.map((name) => readJson(join(labPaths(lab).pods, name)) as PodRecord);
}

export function writePod(lab: string, pod: PodRecord): void {
  writeJson(join(labPaths(lab).pods, `${pod.name}.json`), pod);
}

export function forgetPod(lab: string, pod: string): void {
  rmSync(join(labPaths(lab).pods, `${pod}.json`), { force: true });
}

export function makeLabDirs(lab: string, hosts: readonly string[]): void {
  const paths = labPaths(lab);
  for (const dir of [paths.dir, paths.api, paths.logs, paths.pods, ...hosts.map((host) => join(paths.dir, host))]) {
    mkdirSync(dir, { recursive: true, mode: 0o755 });
  }
}

export function removeLabDir(lab: string): void {
  rmSync(labPaths(lab).dir, { recursive: true, force: true });
  try {
    if (readdirSync(root).length === 0) rmSync(root, { recursive: true });
  } catch {
    // Another lab's folder, or nothing: both fine.
  }
}
