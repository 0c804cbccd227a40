/**
 * The public face of the Kubernetes adapter. The CEL validator is loaded only when asked for: it costs 28 MiB and 150 ms to
 * import, and agents do not need it.
 */
import type { CelValidator } from './cel.ts';
import type { CelSchema } from './cel-schema.ts';

export type { CelValidator, CelViolation } from './cel.ts';
export type { CelRule, CelSchema } from './cel-schema.ts';
export {
  type CallOptions,
  createKubeClient,
  type DeleteOptions,
  type KubeClient,
  type KubeClientOptions,
  type KubeRequest,
  type ListOptions,
  type ListPage,
  type PatchOptions,
} from './client.ts';
export {
  type ConditionClaim,
  type ConditionWriter,
  type ConditionWriterOptions,
  createConditionWriter,
  withClaim,
} from './conditions.ts';
export { isStatus, KubeConfigError, KubeError, type KubeErrorCode } from './errors.ts';
export { Informer, type InformerOptions } from './informer.ts';
export type { Invalid, ParseResult } from './informer-table.ts';
export { createIpamStore } from './ipam-store.ts';
export { type BGPConfiguration, DEFAULT_BGP_CONFIGURATION, parseBGPConfiguration } from './kinds/bgp-configuration.ts';
export { type BGPPeer, parseBGPPeer } from './kinds/bgp-peer.ts';
export { parseBlockAffinity } from './kinds/block-affinity.ts';
export { type IPPool, parseIPPool } from './kinds/ip-pool.ts';
export { type IPReservation, parseIPReservation } from './kinds/ip-reservation.ts';
export { parseIPAMBlock } from './kinds/ipam-block.ts';
export {
  DEFAULT_IPAM_CONFIGURATION,
  type IPAMConfiguration,
  parseIPAMConfiguration,
} from './kinds/ipam-configuration.ts';
export { type Namespace, parseNamespace } from './kinds/namespace.ts';
export { type Node, parseNode } from './kinds/node.ts';
export { type Pod, parsePod } from './kinds/pod.ts';
export type { KubeLog } from './log.ts';
export {
  asKubeObject,
  isKubeObject,
  isRecord,
  type JsonRecord,
  type KubeMetadata,
  type KubeObject,
  keyOf,
} from './objects.ts';
export { apiVersionOf, type ResourceDef, type ResourceTarget, resourcePath, resources } from './resources.ts';
export type * from './types.ts';

/** Compiles every x-kubernetes-validations rule of `schema`; rejects with CelRuleError for one that does not compile. */
export async function createCelValidator(schema: CelSchema): Promise<CelValidator> {
  const cel = await import('./cel.ts');
  return cel.createCelValidator(schema);
}
