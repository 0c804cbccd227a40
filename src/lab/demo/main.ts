// `npm run demo`: builds a routed cluster of namespaces on this machine, shows that it is one, and removes it.
//
// Everything claimed is read from kernels, from the wire or from BIRD. Exit code 0 only when every claim held; with
// --keep the lab stays for the reader to play with.
import { execa } from 'execa';
import { birdCommand } from '../bird.ts';
import { LabBusyError, labDown, labUp, torSocket } from '../lab.ts';
import { HostError } from '../preflight.ts';
import { labPaths } from '../state.ts';
import {
  killClaim,
  ownBlocks,
  podsClaim,
  reachabilityClaims,
  removalClaim,
  repairClaim,
  routesClaim,
  sessionsClaim,
  sourceClaim,
} from './claims.ts';
import { createReport, type Report } from './report.ts';
import { setStage, type Stage } from './stage.ts';

const lab = 'demo';
const keep = process.argv.includes('--keep');
const write = (text: string): void => void process.stdout.write(text);

/** `kubectl get` of our kinds, where kubectl exists. */
async function showKubectl(report: Report): Promise<void> {
  for (const kinds of ['ippools', 'ipamblocks', 'nodestatuses']) {
    const done = await execa('kubectl', ['get', kinds], {
      env: { KUBECONFIG: labPaths(lab).kubeconfig },
      reject: false,
    });
    if (done.exitCode === undefined) return report.show('kubectl is not installed here: left out');
    report.show(`$ kubectl get ${kinds}\n${done.stdout}${done.stderr}`);
    if (done.exitCode !== 0) report.claim({ title: `kubectl get ${kinds}`, holds: false, detail: done.stderr });
  }
}

async function showAddresses(report: Report, stage: Stage): Promise<void> {
  for (const block of await ownBlocks(stage)) report.show(`block ${block.cidr.padEnd(22)} ${block.node}`);
  for (const pod of stage.pods) report.show(`pod   ${pod.name.padEnd(8)} on ${pod.node}  ${pod.addresses.join('  ')}`);
}

async function showRouter(report: Report, stage: Stage): Promise<void> {
  const [tor] = stage.topology.tors;
  if (tor === undefined) return;
  const lines = await birdCommand(torSocket(lab, tor.name), 'show protocols');
  report.show(`${tor.name}> show protocols`);
  for (const line of lines.filter((each) => each.includes('BGP'))) report.show(line);
}

async function play(report: Report): Promise<void> {
  const topology = await labUp({ name: lab, racks: 2, nodesPerRack: 2 }, (step) => report.step(step));
  report.step('two pods on every node, by executing the CNI plugin');
  const { stage, slowestMs } = await setStage(lab, topology, 2);
  report.claim(await podsClaim(stage, slowestMs));
  report.step('BGP');
  report.claim(await sessionsClaim(stage));
  report.claim(await routesClaim(stage));
  await showRouter(report, stage);
  report.step('who reaches whom');
  for (const claim of await reachabilityClaims(stage)) report.claim(claim);
  report.claim(await sourceClaim(stage));
  report.step('blocks and addresses');
  await showAddresses(report, stage);
  await showKubectl(report);
  report.step('an agent is killed under traffic (8 s)');
  report.claim(await killClaim(stage));
  report.step('a route is deleted by hand');
  report.claim(await repairClaim(stage));
  report.step('a node is removed');
  report.claim(await removalClaim(stage));
}

function hints(): string {
  const { cli, kubeconfig } = labPaths(lab);
  return `
The lab stays. Try:
  ${cli} lab status --name ${lab}
  ${cli} lab exec --name ${lab} pod11a ip route
  ${cli} lab exec --name ${lab} node11 ip route
  ${cli} lab kill --name ${lab} node11
  birdc -s ${torSocket(lab, 'tor1')} show route
  KUBECONFIG=${kubeconfig} kubectl get ippools,ipamblocks,nodestatuses
  ${cli} lab down --name ${lab}
`;
}

let cleaning: Promise<unknown> | undefined;
/** Removes the lab, once, whoever asks first: the end of the play or Ctrl-C. */
async function cleanUp(): Promise<void> {
  cleaning ??= labDown(lab);
  await cleaning;
}

/** Ctrl-C leaves nothing behind either. */
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  // on and not once: a library that watches signals too ends the process when no other listener is left.
  process.on(signal, () => {
    write(`\n${signal}: removing the lab\n`);
    void cleanUp().finally(() => process.exit(code));
  });
}

const report = createReport(write, () => performance.now());
let ok = false;
try {
  await play(report);
  ok = report.summarise();
} catch (error) {
  if (error instanceof HostError || error instanceof LabBusyError) {
    process.stderr.write(`demo: ${error.message}\n`);
    process.exit(error instanceof HostError ? error.exitCode : 1);
  }
  if (report.claims.length > 0) report.summarise();
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  if (keep) write(hints());
  else await cleanUp();
}
process.exit(ok ? 0 : 1);
