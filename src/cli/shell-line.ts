/** One word is a line already; several are quoted, so that the shell sees the same words. */
export function shellLine(words: readonly string[]): string {
  return words.length === 1 ? (words[0] ?? "") : words.map(quoted).join(" ");
}

/** One word, as a POSIX shell must be told it. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
