/**
 * One request to an API server, for scenes and checks in tests: JSON in, JSON out, whatever the status.
 */
import type { Json } from './recording.ts';

export interface ApiCall {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function callApi(url: string, request: ApiCall): Promise<Json> {
  const { method, path, body, headers } = request;
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'Content-Type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer: Json = JSON.parse(await response.text());
  return answer;
}
