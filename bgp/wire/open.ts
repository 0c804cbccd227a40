/**
 * OPEN, the first message of a session (RFC 4271 §4.2): who the sender is and what it can do. What §6.2 lets a receiver
 * judge from the bytes alone is judged here (version, AS 0, hold time 1 and 2, identifier 0, parameters); whether the AS
 * is the configured one and which capabilities both sides share is the session's business.
 *
 *    0                   1                   2                   3
 *   +---------------+
 *   |   Version 4   |
 *   +---------------+---------------+
 *   |     My Autonomous System      |     AS_TRANS when the AS needs four octets (RFC 6793)
 *   +-------------------------------+
 *   |           Hold Time           |     seconds: 0, or 3 and more
 *   +-------------------------------+-------------------------------+
 *   |                         BGP Identifier                        |
 *   +---------------+-----------------------------------------------+
 *   | Opt Parm Len  |  Optional Parameters: Type (1), Length (1), Value
 *   +---------------+-----------------------------------------------+
 *
 * More than 255 octets of parameters, RFC 9072 §2 (Opt Parm Len must not be 0 and is otherwise ignored):
 *
 *   +---------------+---------------+-------------------------------+
 *   |  Opt Parm Len |   Type = 255  |    Extended Opt Parm Length   |
 *   +---------------+---------------+-------------------------------+
 *   |  Optional Parameters: Type (1), Length (2), Value
 *   +---------------------------------------------------------------+
 */
import { type Ip, ipFromBytes, ipToBytes } from '#net';
import { WireError } from '../errors.ts';
import { BGP_VERSION, ErrorCode, HEADER_BYTES, MessageType, OpenSubcode, OptionalParameter } from '../iana.ts';
import { type Capability, decodeCapabilities, encodeCapability, formatCapability } from './capability.ts';
import { finishMessage, startMessage } from './header.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** RFC 4271 §4.2. */
export interface OpenMessage {
  readonly type: 'open';
  readonly version: number;
  /** The two-octet field; AS_TRANS (23456) when the AS needs four, which are then in the four-octet-as capability. */
  readonly as: number;
  /** 0, or at least 3. */
  readonly holdTimeSec: number;
  readonly routerId: Ip;
  /** Of all parameters together, in order of appearance. */
  readonly capabilities: readonly Capability[];
}

/** Decodes a whole OPEN whose header was checked; throws WireError 2/x · RFC 4271 §6.2. */
export function decodeOpen(bytes: Uint8Array): OpenMessage {
  const reader = openReader(bytes, HEADER_BYTES);
  const version = reader.u8();
  if (version !== BGP_VERSION) {
    const supported = new Writer().u16(BGP_VERSION).finish();
    throw openError(OpenSubcode.unsupportedVersionNumber, `version is ${version}, expected ${BGP_VERSION}`, supported);
  }
  const as = reader.u16();
  if (as === 0) throw openError(OpenSubcode.badPeerAs, 'as is 0, which is reserved'); // RFC 7607 §2
  const holdTimeSec = reader.u16();
  if (holdTimeSec === 1 || holdTimeSec === 2) {
    const data = new Writer().u16(holdTimeSec).finish();
    throw openError(OpenSubcode.unacceptableHoldTime, `hold time is ${holdTimeSec}, expected 0 or at least 3`, data);
  }
  const identifier = reader.take(4);
  if (identifier.every((byte) => byte === 0)) {
    throw openError(OpenSubcode.badBgpIdentifier, 'bgp identifier is 0.0.0.0'); // RFC 6286 §2.2
  }
  const capabilities = decodeOptionalParameters(reader, bytes);
  return { type: 'open', version, as, holdTimeSec, routerId: ipFromBytes(identifier), capabilities };
}

/** Encodes a whole OPEN with all capabilities in one parameter (RFC 5492 §4), in RFC 9072 form when they need it. */
export function encodeOpen(message: OpenMessage): Uint8Array {
  const writer = startMessage(MessageType.open)
    .u8(message.version)
    .u16(message.as)
    .u16(message.holdTimeSec)
    .bytes(ipToBytes(message.routerId));
  const body = new Writer();
  for (const capability of message.capabilities) encodeCapability(capability, body);
  if (body.length === 0) {
    writer.u8(0);
  } else if (body.length + 2 <= 255) {
    writer.u8(body.length + 2);
    writer.u8(OptionalParameter.capabilities).u8(body.length).bytes(body.finish());
  } else {
    writer.u8(OptionalParameter.extendedLength).u8(OptionalParameter.extendedLength);
    writer.u16(body.length + 3);
    writer.u8(OptionalParameter.capabilities).u16(body.length).bytes(body.finish());
  }
  return finishMessage(writer);
}

/** For people, on one line. */
export function formatOpen(message: OpenMessage): string {
  const { version, as, holdTimeSec, routerId } = message;
  const capabilities = message.capabilities.map(formatCapability).join(', ');
  return `OPEN version ${version}, as ${as}, hold time ${holdTimeSec}s, id ${routerId}, capabilities: ${capabilities || 'none'}`;
}

/** Reads the length of the parameters in either form and all of them; they must fill the message exactly. */
function decodeOptionalParameters(reader: Reader, message: Uint8Array): Capability[] {
  const shortLength = reader.u8();
  const extended = shortLength !== 0 && reader.peek() === OptionalParameter.extendedLength;
  if (extended) reader.u8();
  const length = extended ? reader.u16() : shortLength;
  if (length !== reader.left) {
    throw openError(OpenSubcode.unspecific, `optional parameters claim ${length} bytes where ${reader.left} are left`);
  }
  const parameters = openReader(message, message.length - length);
  const capabilities: Capability[] = [];
  while (parameters.left > 0) {
    const type = parameters.u8();
    const value = parameters.take(extended ? parameters.u16() : parameters.u8());
    if (type !== OptionalParameter.capabilities) {
      throw openError(OpenSubcode.unsupportedOptionalParameter, `optional parameter ${type} is not supported`);
    }
    for (const capability of decodeCapabilities(value)) capabilities.push(checked(capability));
  }
  return capabilities;
}

function checked(capability: Capability): Capability {
  if (capability.kind === 'four-octet-as' && capability.as === 0) {
    throw openError(OpenSubcode.badPeerAs, 'four-octet as is 0, which is reserved'); // RFC 7607 §2
  }
  return capability;
}

function openReader(bytes: Uint8Array, start: number): Reader {
  return new Reader(bytes, { start, end: bytes.length }, (wanted, left) =>
    openError(OpenSubcode.unspecific, `open ends early: ${wanted} bytes wanted, ${left} left`),
  );
}

function openError(subcode: number, message: string, data?: Uint8Array): WireError {
  return new WireError(ErrorCode.openMessage, subcode, message, data);
}
