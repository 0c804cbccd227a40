/** BGPConfiguration (crds/bgpconfigurations.yaml): the one named default, how every node speaks BGP. */
import { type Fields, parseFields } from '../fields.ts';
import type { ParseResult } from '../informer-table.ts';
import type { KubeObject } from '../objects.ts';
import type { BGPConfigurationSpec } from '../types.ts';
import { readAsNumber } from './as-number.ts';

export interface BGPConfiguration {
  readonly name: string;
  /** AS number of nodes without an annotation of their own. */
  readonly as: number;
  readonly mesh: boolean;
  readonly listenPort: number;
}

/** What holds while there is no object. */
export const DEFAULT_BGP_CONFIGURATION: BGPConfiguration = { name: 'default', as: 64_512, mesh: true, listenPort: 179 };

const REFUSED = [
  'serviceClusterIPs',
  'serviceExternalIPs',
  'serviceLoadBalancerIPs',
  'serviceLoadBalancerAggregation',
  'communities',
  'prefixAdvertisements',
  'nodeMeshPassword',
  'nodeMeshMaxRestartTime',
  'ignoredInterfaces',
  'localWorkloadPeeringIPV4',
  'localWorkloadPeeringIPV6',
  'programClusterRoutes',
  'ipv4NormalRoutePriority',
  'ipv6NormalRoutePriority',
] as const satisfies readonly (keyof BGPConfigurationSpec)[];

export function parseBGPConfiguration(object: KubeObject): ParseResult<BGPConfiguration> {
  return parseFields(object, readBGPConfiguration);
}

function readBGPConfiguration(object: Fields): BGPConfiguration {
  const fallback = DEFAULT_BGP_CONFIGURATION;
  const spec = object.fields('spec');
  spec.refuse(...REFUSED);
  spec.word('logSeverityScreen', ['Info'], 'Info');
  spec.word('bindMode', ['None'], 'None');
  const name = object.fields('metadata').requiredText('name');
  if (name !== fallback.name) return object.fields('metadata').fail('name', 'must be default');
  return {
    name,
    as: readAsNumber(spec, 'asNumber') ?? fallback.as,
    mesh: spec.flag('nodeToNodeMeshEnabled', fallback.mesh),
    listenPort: spec.integer('listenPort', { min: 1, max: 65_535 }) ?? fallback.listenPort,
  };
}
