// One block kept in memory by its node, and the only way to change it: compare-and-swap in the store.
//
// Memory is replaced only by what the store acknowledged or answered, never by what we meant to write. All changes that
// wait while a write is in flight go into the next one (group commit), so a burst of assignments costs few writes.
//
// A write without an answer may have happened, or may still happen later. Until the store shows that it no longer can,
// the block is *uncertain*: its absence of a handle proves nothing. What ends the uncertainty is a revision other than the
// one that write was based on; so an uncertain block is written even if nothing changes (a fence), and then it is settled.

import type { Prefix } from '#net';
import { JointSignal, orAborted } from './abort.ts';
import { type Block, touch } from './block.ts';
import { readBlock } from './block-record.ts';
import type { IpamContext } from './context.ts';
import { IpamError, isIpamError } from './errors.ts';
import { blockName } from './names.ts';
import { retrying } from './retry.ts';
import type { Revisioned } from './store.ts';

/** A pure step from block to block; it runs again on a newer block when the store had one. */
export type Change<R> = (block: Block) => { readonly block: Block; readonly result: R };

export type Removal = 'removed' | 'in use';

interface Waiter {
  readonly signal: AbortSignal;
  /** Memory is not good enough for this one. */
  readonly mustRead: boolean;
  fold(block: Block): Block;
  settle(): void;
  fail(error: unknown): void;
}

export interface WarmBlockOptions {
  readonly context: IpamContext;
  readonly stored: Revisioned<Block>;
  /** A write of this block by an earlier life of this node may still be on its way. */
  readonly uncertain: boolean;
  /** Called after the block in memory was replaced, and when it is gone from the store. */
  readonly onChange: (block: WarmBlock) => void;
}

export class WarmBlock {
  readonly cidr: Prefix;
  readonly #context: IpamContext;
  readonly #name: string;
  readonly #onChange: (block: WarmBlock) => void;
  #stored: Revisioned<Block>;
  #uncertainAt: string | undefined;
  #queue: Waiter[] = [];
  #draining: Promise<void> | undefined;
  #state: 'open' | 'closed' | 'gone' = 'open';

  constructor({ context, stored, uncertain, onChange }: WarmBlockOptions) {
    this.cidr = stored.value.cidr;
    this.#context = context;
    this.#name = blockName(this.cidr);
    this.#onChange = onChange;
    this.#stored = stored;
    this.#uncertainAt = uncertain ? stored.revision : undefined;
  }

  /** The block as the store last acknowledged it. */
  get block(): Block {
    return this.#stored.value;
  }

  get revision(): string {
    return this.#stored.revision;
  }

  /** True while a write may happen whose answer nobody saw. */
  get isUncertain(): boolean {
    return this.#uncertainAt !== undefined;
  }

  /** False while the block is being removed, and when it is gone: changes are refused with NOT_FOUND. */
  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isGone(): boolean {
    return this.#state === 'gone';
  }

  /**
   * Changes the block durably and gives the change's result. A change that returns its block unchanged costs no write,
   * unless the block is uncertain. After ABORTED or UNAVAILABLE the change may have happened or may happen yet.
   */
  async apply<R>(change: Change<R>, signal: AbortSignal): Promise<R> {
    return await this.#enqueue(change, false, signal);
  }

  /** Makes sure that no write without an answer can still happen; costs nothing when there is none. */
  async settle(signal: AbortSignal): Promise<void> {
    if (this.isUncertain) {
      await this.#enqueue(unchanged, false, signal);
    }
  }

  /** Reads the block again, between two writes. Throws NOT_FOUND when it is gone. */
  async refresh(signal: AbortSignal): Promise<void> {
    await this.#enqueue(unchanged, true, signal);
  }

  /** Removes the block from the store if `mayRemove` holds for its newest version; otherwise it stays open as before. */
  async remove(mayRemove: (block: Block) => boolean, signal: AbortSignal): Promise<Removal> {
    if (this.#state !== 'open') {
      throw this.#goneError();
    }
    this.#state = 'closed';
    try {
      await this.#draining;
      return await retrying(this.#context, { what: `remove block ${this.cidr}`, signal }, (isFirst) =>
        this.#tryRemove(mayRemove, isFirst, signal),
      );
    } finally {
      if (this.#state === 'closed') {
        this.#state = 'open';
      }
    }
  }

  async #enqueue<R>(change: Change<R>, mustRead: boolean, signal: AbortSignal): Promise<R> {
    if (this.#state !== 'open') {
      throw this.#goneError();
    }
    const done = new Promise<R>((resolve, reject) => {
      let settle = (): void => reject(new Error('settled before it was folded'));
      const fold = (block: Block): Block => {
        const folded = change(block);
        settle = () => resolve(folded.result);
        return folded.block;
      };
      this.#queue.push({ signal, mustRead, fold, settle: () => settle(), fail: reject });
    });
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    return await orAborted(done, `change block ${this.cidr}`, signal);
  }

  async #tryRemove(mayRemove: (block: Block) => boolean, isFirst: boolean, signal: AbortSignal): Promise<Removal> {
    if (!isFirst) {
      await this.#read(signal);
    }
    if (this.#state === 'gone') {
      return 'removed';
    }
    if (!mayRemove(this.block)) {
      return 'in use';
    }
    this.#uncertainAt = this.#stored.revision;
    await this.#context.store.blocks.remove(this.#name, this.#stored.revision, { signal });
    this.#markGone();
    return 'removed';
  }

  async #drain(): Promise<void> {
    for (;;) {
      // One turn of the microtask queue: whoever asks in this tick shares the write.
      await Promise.resolve();
      const batch = this.#queue.splice(0).filter((waiter) => !waiter.signal.aborted);
      if (batch.length > 0) {
        await this.#commit(batch);
      } else if (this.#queue.length === 0) {
        return;
      }
    }
  }

  async #commit(batch: readonly Waiter[]): Promise<void> {
    const joint = new JointSignal();
    for (const waiter of batch) {
      joint.join(waiter.signal);
    }
    const attempt = { what: `write block ${this.cidr}`, signal: joint.signal };
    try {
      await retrying(this.#context, attempt, (isFirst) => this.#tryCommit(batch, isFirst, joint.signal));
      for (const waiter of batch) {
        if (this.#state === 'gone') {
          waiter.fail(this.#goneError());
        } else {
          waiter.settle();
        }
      }
    } catch (error) {
      for (const waiter of batch) {
        waiter.fail(error);
      }
    } finally {
      joint.dispose();
    }
  }

  async #tryCommit(batch: readonly Waiter[], isFirst: boolean, signal: AbortSignal): Promise<void> {
    if (!isFirst || batch.some((waiter) => waiter.mustRead)) {
      await this.#read(signal);
    }
    if (this.#state === 'gone') {
      return;
    }
    const before = this.#stored;
    let block = before.value;
    for (const waiter of batch) {
      block = waiter.fold(block);
    }
    if (block === before.value && !this.isUncertain) {
      return;
    }
    const next = block === before.value ? touch(block) : block;
    this.#uncertainAt = before.revision;
    this.#replace(await this.#context.store.blocks.update(this.#name, next, before.revision, { signal }));
  }

  async #read(signal: AbortSignal): Promise<void> {
    if (this.#state === 'gone') {
      return;
    }
    const stored = await this.#get(signal);
    if (stored === undefined || stored.value.deleted) {
      this.#markGone();
    } else {
      this.#replace(stored);
    }
  }

  async #get(signal: AbortSignal): Promise<Revisioned<Block> | undefined> {
    try {
      return await readBlock(this.#context, this.cidr, signal);
    } catch (error) {
      if (isIpamError(error, 'CORRUPT')) {
        this.#context.log.warn('block cannot be understood and is left alone', { block: this.cidr, err: error });
        return undefined;
      }
      throw error;
    }
  }

  #replace(stored: Revisioned<Block>): void {
    if (stored.revision === this.#stored.revision) {
      return;
    }
    this.#stored = stored;
    if (stored.revision !== this.#uncertainAt) {
      this.#uncertainAt = undefined;
    }
    this.#onChange(this);
  }

  #markGone(): void {
    this.#state = 'gone';
    this.#uncertainAt = undefined;
    this.#onChange(this);
  }

  #goneError(): IpamError {
    return new IpamError('NOT_FOUND', `block ${this.cidr}: gone from the store, or being removed`);
  }
}

function unchanged(block: Block): { readonly block: Block; readonly result: undefined } {
  return { block, result: undefined };
}
