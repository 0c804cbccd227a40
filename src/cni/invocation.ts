// One call of the plugin, understood: CNI_* environment and the network configuration that was on stdin (CNI specification
// 1.1.0, § 2 execution protocol). Pure. What is wrong is thrown as a CniError with the code the specification gives it.
import {
  isContainerId,
  isInterfaceName,
  type AddRequest,
  type Attachment,
  type CniRequest,
  type PodName,
} from './verbs.ts';
import { CniError, cniErrors, isObject, supportedVersions, type CniVersion, type Environment } from './wire.ts';

/** The network configuration as far as the agent reads it; `socket` and `timeoutSec` are the plugin's. */
export interface NetworkConfig {
  readonly cniVersion: CniVersion;
  readonly name: string;
  readonly mtu: number | undefined;
  /** `ipam.ipv4_pools` and `ipam.ipv6_pools`, as Calico spells them. */
  readonly pools: AddRequest['pools'] | undefined;
  readonly previousAddresses: readonly string[] | undefined;
  readonly validAttachments: readonly Attachment[] | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Checks the configuration. Throws CniError 1 (version), 2 (a field we cannot honour) or 7 (invalid). */
export function parseConfig(config: JsonObject): NetworkConfig {
  const name = config['name'];
  if (typeof name !== 'string' || !isContainerId(name)) {
    throw invalid('name', 'letters, digits, dot, dash or underscore, beginning with a letter or digit');
  }
  const ipam = config['ipam'];
  if (isObject(ipam) && typeof ipam['type'] === 'string' && ipam['type'] !== '') {
    throw new CniError(
      cniErrors.unsupportedField,
      `ipam.type "${ipam['type']}": Manx assigns addresses from its own IPPools; remove the field`,
    );
  }
  return {
    cniVersion: parseVersion(config['cniVersion']),
    name,
    mtu: parseMtu(config['mtu']),
    pools: parsePools(ipam),
    previousAddresses: previousAddresses(config['prevResult']),
    validAttachments: validAttachments(config['cni.dev/valid-attachments']),
  };
}

/** Builds the agent's request. Throws CniError 4 (environment), 1 (verb unknown to that version) or 7. */
export function toRequest(command: string, env: Environment, config: NetworkConfig): CniRequest {
  switch (command) {
    case 'ADD': {
      const pod = podOf(env['CNI_ARGS']);
      const request = { command, ...attachment(env), netns: netns(env), pod, mtu: config.mtu } as const;
      return config.pools === undefined ? request : { ...request, pools: config.pools };
    }
    case 'DEL':
      return { command, ...attachment(env) };
    case 'CHECK':
      requireVersion(command, config.cniVersion, '0.4.0');
      if (config.previousAddresses === undefined)
        throw invalid('prevResult', 'the result of ADD, which CHECK compares with');
      return { command, ...attachment(env), netns: netns(env), addresses: config.previousAddresses };
    case 'GC':
      requireVersion(command, config.cniVersion, '1.1.0');
      if (config.validAttachments === undefined)
        throw invalid('cni.dev/valid-attachments', 'a list of attachments; GC without it would remove every pod');
      return { command, valid: config.validAttachments };
    case 'STATUS':
      requireVersion(command, config.cniVersion, '1.1.0');
      return { command };
    default:
      throw new CniError(
        cniErrors.invalidEnvironment,
        `CNI_COMMAND "${command}": expected ADD, DEL, CHECK, GC, STATUS or VERSION`,
      );
  }
}

function invalid(field: string, expected: string): CniError {
  return new CniError(cniErrors.invalidConfig, `network configuration: ${field}: expected ${expected}`);
}

function parseVersion(value: unknown): CniVersion {
  const known = supportedVersions.find((version) => version === value);
  if (known !== undefined) return known;
  throw new CniError(
    cniErrors.incompatibleVersion,
    `cniVersion ${JSON.stringify(value ?? '')} is not supported`,
    `supported: ${supportedVersions.join(', ')}`,
  );
}

function requireVersion(command: string, version: CniVersion, since: CniVersion): void {
  if (supportedVersions.indexOf(version) >= supportedVersions.indexOf(since)) return;
  throw new CniError(
    cniErrors.incompatibleVersion,
    `${command} needs cniVersion ${since} or newer, the configuration has ${version}`,
  );
}

function parseMtu(value: unknown): number | undefined {
  if (value === undefined || value === 0) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 576 && value <= 65535) return value;
  throw invalid('mtu', 'a whole number from 576 to 65535, or 0 for automatic');
}

function parsePools(ipam: unknown): AddRequest['pools'] | undefined {
  if (!isObject(ipam)) return undefined;
  const pools = {
    ...poolList(ipam, 'ipv4_pools', (list) => ({ 4: list })),
    ...poolList(ipam, 'ipv6_pools', (list) => ({ 6: list })),
  };
  return Object.keys(pools).length === 0 ? undefined : pools;
}

function poolList<T>(ipam: JsonObject, field: string, as: (list: readonly string[]) => T): T | undefined {
  const value = ipam[field];
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')) return as(value);
  throw invalid(`ipam.${field}`, 'a list of pool names or CIDRs');
}

/** Addresses of prevResult without their lengths; undefined when there is no prevResult. An empty one is no addresses. */
function previousAddresses(value: unknown): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw invalid('prevResult', 'a CNI result');
  const ips: unknown = value['ips'] ?? [];
  if (!Array.isArray(ips)) throw invalid('prevResult.ips', 'a list');
  return ips.map((ip: unknown) => {
    const address = isObject(ip) ? ip['address'] : undefined;
    if (typeof address !== 'string') throw invalid('prevResult.ips[].address', 'an address with its length');
    return address.replace(/\/\d+$/, '');
  });
}

function validAttachments(value: unknown): readonly Attachment[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw invalid('cni.dev/valid-attachments', 'a list');
  return value.map((item: unknown) => {
    const containerId = isObject(item) ? item['containerID'] : undefined;
    const ifname = isObject(item) ? item['ifname'] : undefined;
    if (typeof containerId === 'string' && typeof ifname === 'string') return { containerId, ifname };
    throw invalid('cni.dev/valid-attachments[]', 'containerID and ifname');
  });
}

function attachment(env: Environment): Attachment {
  const containerId = env['CNI_CONTAINERID'] ?? '';
  const ifname = env['CNI_IFNAME'] ?? '';
  if (!isContainerId(containerId)) throw badEnvironment('CNI_CONTAINERID', containerId);
  if (!isInterfaceName(ifname)) throw badEnvironment('CNI_IFNAME', ifname);
  return { containerId, ifname };
}

function netns(env: Environment): string {
  const path = env['CNI_NETNS'] ?? '';
  if (path.startsWith('/')) return path;
  throw badEnvironment('CNI_NETNS', path);
}

function badEnvironment(name: string, value: string): CniError {
  const what = value === '' ? 'is missing' : `${JSON.stringify(value)} is not valid`;
  return new CniError(cniErrors.invalidEnvironment, `${name} ${what}`);
}

/** K8S_POD_NAMESPACE and K8S_POD_NAME of CNI_ARGS (`KEY=value;KEY=value`); other runtimes send neither. */
function podOf(args: string | undefined): PodName | undefined {
  const pairs = new Map<string, string>();
  for (const part of (args ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at > 0) pairs.set(part.slice(0, at), part.slice(at + 1));
    else if (part !== '') throw new CniError(cniErrors.invalidEnvironment, `CNI_ARGS: "${part}" is not KEY=value`);
  }
  const namespace = pairs.get('K8S_POD_NAMESPACE');
  const name = pairs.get('K8S_POD_NAME');
  return namespace && name ? { namespace, name } : undefined;
}
