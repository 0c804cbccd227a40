/** Bytes as people and test vectors write them: lower-case hexadecimal without separators. */

export function formatHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Reads hexadecimal, ignoring white space; throws RangeError on anything else. */
export function parseHex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new RangeError(`hex text ${text}: expected pairs of hex digits`);
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) =>
    Number.parseInt(digits.slice(index * 2, index * 2 + 2), 16),
  );
}
