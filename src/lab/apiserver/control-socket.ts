/**
 * The lab's own door to the server: a Unix socket for what is no Kubernetes API. `POST /netns/NAME` (or `POST /netns {"name": …}`) makes the
 * server listen in one more network namespace, `DELETE /netns/NAME` closes that socket again (an open socket keeps a deleted
 * namespace and its links alive), `POST /compact` forgets the history of events. Mode 0600, because it
 * is as powerful as the API itself.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

export interface ControlActions {
  readonly addNetns: (name: string) => Promise<void>;
  readonly removeNetns: (name: string) => Promise<void>;
  readonly compact: () => Promise<void>;
}

export class ControlSocket {
  readonly #actions: ControlActions;
  readonly #http: Server;
  #path: string | undefined;

  constructor(actions: ControlActions) {
    this.#actions = actions;
    this.#http = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  /** Listens on `path`; a socket left behind by a dead server is replaced. */
  async listen(path: string): Promise<void> {
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(path, resolve);
    });
    await chmod(path, 0o600);
    this.#path = path;
  }

  async close(): Promise<void> {
    if (this.#path === undefined) return;
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    this.#http.closeAllConnections();
    await closed;
    await rm(this.#path, { force: true });
    this.#path = undefined;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      await this.#act(`${request.method} ${request.url}`, Buffer.concat(chunks).toString());
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(400, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
    }
  }

  async #act(what: string, body: string): Promise<void> {
    if (what === 'POST /compact') return await this.#actions.compact();
    const match = /^(POST|DELETE) \/netns(?:\/([^/]+))?$/.exec(what);
    if (match === null) throw new Error(`${what} is unknown: expected POST or DELETE /netns/NAME, or POST /compact`);
    const name = match[2] ?? nameOf(body);
    if (typeof name !== 'string' || name === '') throw new Error('name must be the name of a network namespace');
    await (match[1] === 'POST' ? this.#actions.addNetns(name) : this.#actions.removeNetns(name));
  }
}

function nameOf(body: string): unknown {
  const value: unknown = body === '' ? undefined : JSON.parse(body);
  return typeof value === 'object' && value !== null && 'name' in value ? value.name : undefined;
}
