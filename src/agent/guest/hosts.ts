/** The line by which a machine finds its own name; without it sudo waits for a name server. */
const ownAddress = "127.0.1.1";

/** The text of /etc/hosts with `name` for the machine itself; lines that others wrote stay. */
export function hostsWith(text: string, name: string): string {
  const lines = text.split("\n").filter((line) => line !== "" && !/^127\.0\.1\.1\s/.test(line));
  if (!lines.some((line) => /^127\.0\.0\.1\s/.test(line))) lines.unshift("127.0.0.1\tlocalhost");
  return `${[...lines, `${ownAddress}\t${name}`].join("\n")}\n`;
}
