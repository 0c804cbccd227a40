/**
 * A watch in a test: collects events and waits for what is expected, never longer than its patience.
 */
export interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly code?: number;
    readonly reason?: string;
    readonly metadata: {
      readonly name?: string;
      readonly resourceVersion?: string;
      readonly finalizers?: readonly string[];
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
      readonly deletionTimestamp?: string;
    };
  };
}

const patienceMs = 10_000;

export class Watching {
  readonly status: number;
  readonly events: WatchEvent[] = [];
  readonly #controller: AbortController;
  readonly #reading: Promise<void>;
  #wake: () => void = () => undefined;
  #ended = false;

  private constructor(response: Response, controller: AbortController) {
    this.status = response.status;
    this.#controller = controller;
    this.#reading = this.#read(response);
  }

  /** Resolves when the server has answered with headers. */
  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Watching> {
    const controller = new AbortController();
    const response = await fetch(url, { headers, signal: controller.signal });
    return new Watching(response, controller);
  }

  /** Waits until `count` events have come and returns them as `TYPE name`. */
  async first(count: number): Promise<string[]> {
    await this.#until(() => this.events.length >= count, `${count} events`);
    return this.lines().slice(0, count);
  }

  /** Waits for the end of the stream and returns all events as `TYPE name`. */
  async all(): Promise<string[]> {
    await this.#until(() => this.#ended, 'the end of the stream');
    return this.lines();
  }

  lines(): string[] {
    return this.events.map((event) => `${event.type} ${event.object.metadata.name ?? ''}`.trim());
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#reading;
  }

  async #read(response: Response): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) {
        rest += decoder.decode(chunk, { stream: true });
        const lines = rest.split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.events.push(JSON.parse(line) as WatchEvent);
        this.#wake();
      }
    } catch {
      // Aborted by close(), or the server went away: both are an end.
    }
    this.#ended = true;
    this.#wake();
  }

  async #until(isDone: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + patienceMs;
    while (!isDone()) {
      const left = deadline - Date.now();
      if (left <= 0 || (this.#ended && !isDone())) {
        throw new Error(`the watch did not bring ${what}; it brought ${JSON.stringify(this.lines())}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
