/** A BGP-4 speaker that knows nothing of Kubernetes. This is what `#bgp` exports, nothing else. */

export { SpeakerError, type SpeakerErrorCode } from './errors.ts';
export type { RouteChanges } from './policy/changes.ts';
export { findPolicyFault } from './policy/check.ts';
export {
  ACCEPT_ALL,
  type AsPathMatch,
  evaluate as evaluatePolicy,
  type PolicyRule,
  type PolicyVerdict,
  type PrefixRange,
  REJECT_ALL,
  type RouteKind,
  type RouteMatch,
  type RoutePolicy,
} from './policy/policy.ts';
export type { PrefixLimit } from './policy/prefix-limit.ts';
export type { State as SessionState } from './session/fsm.ts';
export { createTcpTransport } from './session/tcp-transport.ts';
export type {
  Dial,
  DialHandlers,
  DialTarget,
  ListenAddress,
  Listener,
  SocketPort,
  Transport,
  Wire,
  WireHandlers,
} from './session/transport.ts';
export type { PullingSpeaker } from './pipeline.ts';
export { type PackedBestPaths, unpackBestPaths } from './rib/outbox.ts';
export { createSpeaker } from './speaker.ts';
export type {
  BestPathBatch,
  BestPathChange,
  LogFields,
  OriginatedRoute,
  PathView,
  PeerChange,
  PeerSpec,
  PeerStatus,
  ResetKind,
  RouteView,
  RuleCount,
  Speaker,
  SpeakerConfig,
  SpeakerLog,
  SpeakerOptions,
} from './speaker-types.ts';
