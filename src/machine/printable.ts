/**
 * What a VMM or a guest wrote, fit for a message or a log: its last `charactersMax` characters on one
 * line, in printable
 * ASCII only. A guest can make a VMM write nearly anything.
 */
export function printable(text: string, charactersMax: number): string {
  const lines = text.split(/[\r\n]+/).map((line) => line.replaceAll(/[^\x20-\x7e]/g, "").trim());
  return lines
    .filter((line) => line !== "")
    .join("; ")
    .slice(-charactersMax);
}
