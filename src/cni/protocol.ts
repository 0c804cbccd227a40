// The door of this folder for the agent: the verbs it serves, and the way from a plugin's request line to its answer.

export { answerCall } from './answer.ts';
export type {
  AddRequest,
  AddResult,
  Attachment,
  CheckRequest,
  CniHandler,
  CniRequest,
  CniResponse,
  GcRequest,
} from './verbs.ts';
export { CniError, cniErrors, formatAnswer, formatCall, maxRequestBytes, protocolVersion, toCniError } from './wire.ts';
