// The CNI verbs as the agent serves them, in no version's words.

export interface Attachment {
  readonly containerId: string;
  readonly ifname: string;
}

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface AddRequest extends Attachment {
  readonly command: 'ADD';
  readonly netns: string;
  readonly pod: PodName | undefined;
  readonly mtu: number | undefined;
  /** Pools to take addresses from, by name or CIDR, for pods that do not say themselves. */
  readonly pools?: { readonly 4?: readonly string[]; readonly 6?: readonly string[] };
}
export interface DelRequest extends Attachment {
  readonly command: 'DEL';
}
export interface CheckRequest extends Attachment {
  readonly command: 'CHECK';
  readonly netns: string;
  /** Addresses of prevResult, without length. */
  readonly addresses: readonly string[];
}
export interface GcRequest {
  readonly command: 'GC';
  readonly valid: readonly Attachment[];
}
export interface StatusRequest {
  readonly command: 'STATUS';
}
export type CniRequest = AddRequest | DelRequest | CheckRequest | GcRequest | StatusRequest;

/** What an ADD made. Addresses are /32 or /128. */
export interface AddResult {
  readonly hostInterface: { readonly name: string; readonly mac: string };
  readonly podInterface: {
    readonly name: string;
    readonly netns: string;
    readonly mtu: number | undefined;
  };
  readonly addresses: readonly string[];
  readonly routes: readonly { readonly destination: string; readonly gateway: string }[];
}

/** Success; only ADD has a result. What is not a success is thrown as a CniError. */
export interface CniResponse {
  readonly ok: true;
  readonly result: AddResult | undefined;
}

export type CniHandler = (request: CniRequest) => Promise<CniResponse>;

/** The rules of the specification for CNI_CONTAINERID; it also becomes a file name. */
export function isContainerId(value: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}$/.test(value);
}

/** Interface names Linux accepts: 1 to 15 bytes, no slash, colon or space, not `.` or `..`. */
export function isInterfaceName(value: string): boolean {
  return /^[\x21-\x7e]{1,15}$/.test(value) && !/[/:]/.test(value) && value !== '.' && value !== '..';
}
