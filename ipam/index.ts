export type { AffinityState, BlockAffinity } from './affinity.ts';
export {
  type Allocator,
  type AllocatorOptions,
  type Assignment,
  type AssignOptions,
  createAllocator,
} from './allocator.ts';
export type { AssignedAddress } from './assign.ts';
export {
  type AuditedPod,
  type AuditInput,
  audit,
  type Finding,
  type FindingKind,
  type Repair,
  whyLeaked,
} from './audit.ts';
export { type Block, type BlockAttribute, blockFaults, freeCount, holdings, isEmpty, release } from './block.ts';
export type { BlockView, HeldAddress } from './block-table.ts';
export { DEFAULT_SETTINGS, type IpamLog, type IpamSettings } from './context.ts';
export { IpamError, type IpamErrorCode, isIpamError } from './errors.ts';
export { affinityName, blockName } from './names.ts';
export { eligiblePools, overlappingPools, type Pool, type PoolChoice, type PoolOverlap } from './pool.ts';
export { doRepair, type Repairing } from './repair.ts';
export { reservedIn } from './reservation.ts';
export type { CallOptions, Collection, IpamStore, Revisioned } from './store.ts';
