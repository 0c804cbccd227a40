export type { AffinityState, BlockAffinity } from './affinity.ts';
export type { Block, BlockAttribute } from './block.ts';
export { IpamError, isIpamError } from './errors.ts';
export type { IpamErrorCode } from './errors.ts';
export { affinityName, blockName } from './names.ts';
export type { Pool } from './pool.ts';
export type { CallOptions, Collection, IpamStore, Revisioned } from './store.ts';
