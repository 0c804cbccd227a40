/**
 * Content negotiation: which form an answer takes (RFC 9110 §12.5.1 with the parameters `as`, `v`, `g` of the
 * Kubernetes API) and which bodies are read. Pure. JSON and YAML are written; protobuf and CBOR are refused by name.
 */
import { notAcceptable } from './status-objects.ts';

/** The form of an answer: `view` is the object itself, a Table of it, its metadata, or aggregated discovery. */
export interface AnswerForm {
  readonly media: 'json' | 'yaml';
  readonly view: 'object' | 'table' | 'partial' | 'partial-list' | 'discovery';
  /** `v1` or `v1beta1` for tables and metadata, `v2` for discovery. */
  readonly version: string;
  readonly pretty: boolean;
}

export const plainJson: AnswerForm = { media: 'json', view: 'object', version: 'v1', pretty: false };

interface Range {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly quality: number;
}

const acceptedTypes = 'application/json, application/yaml, application/vnd.kubernetes.protobuf';
const acceptedStreams = 'application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch';

/** The best form for an Accept header; throws 406. `discovery` forms are offered only where asked for. */
export function negotiate(header: string | undefined, offers: { readonly discovery: boolean }): AnswerForm {
  if (header === undefined || header.trim() === '') return plainJson;
  for (const range of parseAccept(header)) {
    const form = formOf(range, offers.discovery);
    if (form !== undefined) return form;
  }
  throw notAcceptable(`only the following media types are accepted: ${acceptedTypes}`);
}

/** The form of a watch stream: JSON only; throws 406. */
export function negotiateStream(header: string | undefined): AnswerForm {
  const form = negotiate(header, { discovery: false });
  if (form.media === 'yaml') throw notAcceptable(`only the following media types are accepted: ${acceptedStreams}`);
  return form;
}

function parseAccept(header: string): readonly Range[] {
  const ranges = header.split(',').map((text) => {
    const [type = '', ...rest] = text.trim().split(';');
    const parameters = new Map(
      rest.map((pair) => {
        const [key = '', value = ''] = pair.trim().split('=');
        return [key, value] as const;
      }),
    );
    const quality = Number(parameters.get('q') ?? 1);
    return { type: type.trim().toLowerCase(), parameters, quality: Number.isNaN(quality) ? 0 : quality };
  });
  return ranges.sort((a, b) => b.quality - a.quality);
}

function formOf(range: Range, discovery: boolean): AnswerForm | undefined {
  const { type, parameters } = range;
  const media = mediaOf(type);
  if (media === undefined || range.quality === 0) return undefined;
  const as = parameters.get('as');
  const version = parameters.get('v') ?? '';
  const pretty = parameters.get('pretty') === '1' || parameters.get('pretty') === 'true';
  if (as === undefined) return { media, view: 'object', version: 'v1', pretty };
  if (as === 'APIGroupDiscoveryList') {
    return discovery && version === 'v2' ? { media, view: 'discovery', version, pretty } : undefined;
  }
  if (version !== 'v1' && version !== 'v1beta1') return undefined;
  if (as === 'Table') return { media, view: 'table', version, pretty };
  if (as === 'PartialObjectMetadata') return { media, view: 'partial', version, pretty };
  if (as === 'PartialObjectMetadataList') return { media, view: 'partial-list', version, pretty };
  return undefined;
}

function mediaOf(type: string): 'json' | 'yaml' | undefined {
  if (type === 'application/json' || type === 'application/*' || type === '*/*') return 'json';
  return type === 'application/yaml' ? 'yaml' : undefined;
}

/** The media type of a Content-Type header, without parameters. */
export function mediaType(header: string | undefined): string {
  return (header ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}
