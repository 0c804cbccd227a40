/**
 * A stream of text cut into lines, as a watch sends its events. The invariant: at most `maxLength` characters wait for the end of
 * their line, so a server that never ends one cannot fill the memory.
 */
export class LineSplitter {
  readonly #maxLength: number;
  #rest: string[] = [];
  #restLength = 0;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** The lines that `text` ends, in order, empty ones left out. Throws RangeError when an unfinished line grows too long. */
  push(text: string): string[] {
    const pieces = text.split('\n');
    const last = pieces.pop() ?? '';
    const lines: string[] = [];
    for (const piece of pieces) {
      const line = this.#rest.length === 0 ? piece : this.#rest.join('') + piece;
      this.#rest = [];
      this.#restLength = 0;
      if (line.trim() !== '') lines.push(line);
    }
    if (last !== '') {
      this.#rest.push(last);
      this.#restLength += last.length;
    }
    if (this.#restLength > this.#maxLength) throw new RangeError(`a line is longer than ${this.#maxLength} characters`);
    return lines;
  }
}
