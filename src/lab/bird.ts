// The lab's top-of-rack routers are real BIRD 2: this writes a ToR's configuration and asks a running BIRD what it sees.
//
// The configuration is what a network engineer would write: eBGP to each node and to the other ToRs, dual stack over one
// IPv4 session (MP-BGP), graceful restart on, pod prefixes into the kernel, the rack's own subnets to the other ToRs.
import { connect } from 'node:net';
import type { LabNode, LabTor, Topology } from './topology.ts';
import { rackBridge } from './topology.ts';

/** Seconds; short retry times, so that a lab converges while someone watches. */
const timers = 'connect delay time 1; connect retry time 2; error wait time 1,3; hold time 90;';

function nodeProtocol(node: LabNode, tor: LabTor, nodeAs: number): string {
  return `
protocol bgp ${node.name} {
  description "${node.name}";
  local ${tor.gateways[0]} as ${tor.as};
  neighbor ${node.addresses[0]} as ${nodeAs};
  graceful restart on;
  ${timers}
  ipv4 { import filter pods4; export all; };
  ipv6 { import filter pods6; export all; };
}`;
}

function torProtocols(tor: LabTor): string {
  return tor.links
    .map(
      (link) => `
protocol bgp ${link.peer} {
  description "${link.peer}";
  local ${link.addresses[0]} as ${tor.as};
  neighbor ${link.peerAddresses[0]} as ${link.peerAs};
  graceful restart on;
  ${timers}
  ipv4 { import all; export all; };
  ipv6 { import all; export all; };
}`,
    )
    .join('');
}

/** BIRD 2 configuration of one ToR. */
export function birdConfig(tor: LabTor, topology: Topology): string {
  const [pool4, pool6] = topology.pools;
  const nodes = topology.nodes.filter((node) => node.rack === tor.rack);
  return `# ${tor.name} of lab ${topology.spec.name}, written by manxctl lab up
router id ${tor.routerId};
log stderr { warning, error, fatal, bug };
filter pods4 { if net ~ [ ${pool4?.cidr}+ ] then accept; reject; }
filter pods6 { if net ~ [ ${pool6?.cidr}+ ] then accept; reject; }
protocol device { scan time 1; }
protocol direct { ipv4; ipv6; interface "${rackBridge}"; }
protocol kernel kernel4 { merge paths on; ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel kernel6 { merge paths on; ipv6 { import none; export where source = RTS_BGP; }; }
${nodes.map((node) => nodeProtocol(node, tor, topology.nodeAs)).join('')}${torProtocols(tor)}
`;
}

/** One BGP protocol as `show protocols` prints it. */
export interface BirdSession {
  readonly name: string;
  readonly state: string;
  readonly info: string;
}

/**
 * Sends one command over BIRD's control socket and gives the text of the reply, without reply codes.
 * Replies are lines `NNNN-text` (more follow), `NNNN text` (last) or ` text` (same code as before).
 */
export async function birdCommand(socketPath: string, command: string): Promise<readonly string[]> {
  return await new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let buffer = '';
    let greeted = false;
    const lines: string[] = [];
    socket.setTimeout(5000, () => socket.destroy(new Error(`bird did not answer "${command}" within 5 s`)));
    socket.on('error', reject);
    socket.on('close', () => resolve(lines));
    socket.on('data', (chunk) => {
      buffer += chunk.toString('utf8');
      for (let end = buffer.indexOf('\n'); end >= 0; end = buffer.indexOf('\n')) {
        const line = buffer.slice(0, end);
        buffer = buffer.slice(end + 1);
        const last = /^\d{4} /.test(line);
        if (!greeted) {
          greeted = true;
          socket.write(`${command}\n`);
          continue;
        }
        const text = line.replace(/^(\d{4}[- ]| )/, '');
        if (text !== '') lines.push(text);
        if (last) socket.end();
      }
    });
  });
}

/** The BGP sessions a BIRD has, by its own account. */
export async function birdSessions(socketPath: string): Promise<readonly BirdSession[]> {
  const lines = await birdCommand(socketPath, 'show protocols');
  const rows = lines.map((line) => line.trim().split(/\s+/)).filter((cells) => cells[1] === 'BGP');
  return rows.map((cells) => ({ name: cells[0] ?? '', state: cells[3] ?? '', info: cells.slice(5).join(' ') }));
}

/** Prefixes with a BGP route in a BIRD, with the name of the protocol each came from. */
export async function birdRoutes(socketPath: string): Promise<readonly { prefix: string; from: string }[]> {
  const routes: { prefix: string; from: string }[] = [];
  let prefix = '';
  for (const line of await birdCommand(socketPath, 'show route where source = RTS_BGP')) {
    const match = /^(\S+\/\d+)?\s+unicast \[(\S+)/.exec(line);
    if (match === null) continue;
    prefix = match[1] ?? prefix;
    routes.push({ prefix, from: match[2] ?? '' });
  }
  return routes;
}
