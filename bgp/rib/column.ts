/**
 * One reference per prefix id, in pages that exist only where something is: a peer with a hundred routes in a table of a
 * million costs a few kilobytes, a peer with all of them eight bytes each, and a lookup is two array reads (a Map keyed by
 * number costs 2.2 times as much at 1M).
 */
const PAGE_BITS = 6;
const PAGE = 1 << PAGE_BITS;

type Page<T> = (T | undefined)[];

/** Copied, which is many times as fast as filling a new one. */
const EMPTY_PAGE: readonly undefined[] = Array.from({ length: PAGE }, () => undefined);

export class Column<T extends object> {
  #pages: (Page<T> | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#pages[id >>> PAGE_BITS]?.[id & (PAGE - 1)];
  }

  /** Stores or, with undefined, removes; returns what was there. */
  set(id: number, value: T | undefined): T | undefined {
    const page = this.#pages[id >>> PAGE_BITS];
    if (page === undefined) {
      if (value !== undefined) this.#addPage(id >>> PAGE_BITS)[id & (PAGE - 1)] = value;
      this.#size += Number(value !== undefined);
      return undefined;
    }
    const before = page[id & (PAGE - 1)];
    page[id & (PAGE - 1)] = value;
    this.#size += Number(value !== undefined) - Number(before !== undefined);
    return before;
  }

  clear(): void {
    this.#pages = [];
    this.#size = 0;
  }

  /** In ascending order of id; the callback may set and remove. */
  forEach(visit: (id: number, value: T) => void): void {
    for (const [index, page] of this.#pages.entries()) {
      if (page === undefined) continue;
      for (let at = 0; at < PAGE; at += 1) {
        const value = page[at];
        if (value !== undefined) visit((index << PAGE_BITS) | at, value);
      }
    }
  }

  #addPage(index: number): Page<T> {
    while (this.#pages.length <= index) this.#pages.push(undefined);
    const page: Page<T> = EMPTY_PAGE.slice();
    this.#pages[index] = page;
    return page;
  }
}
