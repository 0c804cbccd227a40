/**
 * Members of JSON objects that occur twice, which JSON.parse swallows and fieldValidation must report. A scanner over
 * text that is known to be valid JSON: it never has to say what is wrong with it. Linear in the text.
 */

/** Paths of the members that occur more than once, such as `spec.blockSize` or `spec.list[0].name`. */
export function findDuplicateKeys(text: string): readonly string[] {
  const scanner = new Scanner(text);
  scanner.value('');
  return scanner.found;
}

class Scanner {
  readonly found: string[] = [];
  readonly #text: string;
  #position = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(path: string): void {
    this.#skipSpace();
    const first = this.#text[this.#position];
    if (first === '{') this.#object(path);
    else if (first === '[') this.#array(path);
    else if (first === '"') this.#string();
    else this.#scalar();
  }

  #object(path: string): void {
    const seen = new Set<string>();
    this.#position += 1;
    this.#skipSpace();
    while (this.#text[this.#position] !== '}') {
      const key = this.#string();
      const inner = path === '' ? key : `${path}.${key}`;
      if (seen.has(key)) this.found.push(inner);
      seen.add(key);
      this.#skipSpace();
      this.#position += 1;
      this.value(inner);
      this.#skipComma();
    }
    this.#position += 1;
  }

  #array(path: string): void {
    this.#position += 1;
    this.#skipSpace();
    for (let index = 0; this.#text[this.#position] !== ']'; index += 1) {
      this.value(`${path}[${index}]`);
      this.#skipComma();
    }
    this.#position += 1;
  }

  #string(): string {
    const start = this.#position;
    this.#position += 1;
    while (this.#text[this.#position] !== '"') this.#position += this.#text[this.#position] === '\\' ? 2 : 1;
    this.#position += 1;
    const quoted = this.#text.slice(start, this.#position);
    return quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
  }

  #scalar(): void {
    while (this.#position < this.#text.length && !',]} \t\n\r'.includes(this.#text[this.#position] ?? ''))
      this.#position += 1;
  }

  #skipSpace(): void {
    while (' \t\n\r'.includes(this.#text[this.#position] ?? '#')) this.#position += 1;
  }

  #skipComma(): void {
    this.#skipSpace();
    if (this.#text[this.#position] === ',') this.#position += 1;
    this.#skipSpace();
  }
}
