/**
 * Changes on their way into messages: prefixes gathered by what is told of them, then written behind each other
 * (RFC 4271 §4.3). Withdrawals come before announcements; each prefix stands in a batch once.
 */
import type { WireContext } from '../wire/context.ts';
import { withdrawTemplate } from '../wire/template.ts';
import type { RouteTold } from './adj-rib-out.ts';
import type { PrefixTable } from './prefix-table.ts';
import type { UpdateWriter } from './update-writer.ts';

export class UpdateBatch {
  readonly #table: PrefixTable;
  readonly #context: WireContext;
  #withdrawn: number[] = [];
  #told: RouteTold[] = [];

  constructor(table: PrefixTable, context: WireContext) {
    this.#table = table;
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#withdrawn.length === 0 && this.#told.length === 0;
  }

  announce(id: number, told: RouteTold): void {
    if (told.batch === undefined) {
      told.batch = [];
      this.#told.push(told);
    }
    told.batch.push(id);
  }

  withdraw(id: number): void {
    this.#withdrawn.push(id);
  }

  /** Appends the messages and empties the batch. */
  write(writer: UpdateWriter): void {
    for (const family of [4, 6] as const) {
      if (this.#withdrawn.length === 0) break;
      writer.open(withdrawTemplate(family, this.#context));
      for (const id of this.#withdrawn) if (this.#table.family(id) === family) writer.add(id);
      writer.close();
    }
    for (const told of this.#told) {
      writer.open(told.template);
      for (const id of told.batch ?? []) writer.add(id);
      writer.close();
      told.batch = undefined;
    }
    this.#withdrawn = [];
    this.#told = [];
  }
}
