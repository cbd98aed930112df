/** One archive that Debian packages come from, as apt writes it down in deb822 form. */
export interface AptSource {
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** A keyring's path, fingerprints, or a whole key: verbatim. */
  readonly signedBy?: string;
  /** `yes` for an archive that its administrator trusts unsigned. */
  readonly trusted?: string;
}

/** The sources of binary packages for amd64 in a file of one-line entries (sources.list(5)). Bad lines are skipped. */
export function parseOneLineSources(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)\s*$/.exec(withoutComment(line));
    if (match === null) return [];
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const option = new Map(words(options).map((pair) => splitAt(pair, "=")));
    return source({
      uris: uri,
      suites: suite,
      components,
      architectures: option.get("arch")?.replaceAll(",", " "),
      signedBy: option.get("signed-by"),
      trusted: option.get("trusted"),
    });
  });
}

/** The same of a file in deb822 form: stanzas of fields, a field goes on in lines that begin with a blank. */
export function parseDeb822Sources(text: string): AptSource[] {
  return text.split(/\n(?:[ \t]*\n)+/).flatMap((stanza) => {
    const field = new Map<string, string>();
    let name = "";
    for (const line of stanza.split("\n").filter((line) => !line.startsWith("#"))) {
      if (/^[ \t]/.test(line)) field.set(name, `${field.get(name) ?? ""}\n${line}`);
      else {
        const [key, value] = splitAt(line, ":");
        name = key.toLowerCase();
        field.set(name, value.trim());
      }
    }
    if (
      !words(field.get("types") ?? "").includes("deb") ||
      /^(no|false|off)$/i.test(field.get("enabled") ?? "")
    )
      return [];
    return source({
      uris: field.get("uris") ?? "",
      suites: field.get("suites") ?? "",
      components: field.get("components") ?? "",
      architectures: field.get("architectures"),
      signedBy: field.get("signed-by"),
      trusted: field.get("trusted"),
    });
  });
}

/** Writes sources as a file in deb822 form, which apt and mmdebstrap read. */
export function formatDeb822Sources(sources: readonly AptSource[]): string {
  const stanzas = sources.map((each) => {
    const lines = [
      "Types: deb",
      `URIs: ${each.uris.join(" ")}`,
      `Suites: ${each.suites.join(" ")}`,
      `Components: ${each.components.join(" ")}`,
    ];
    if (each.signedBy !== undefined) lines.push(`Signed-By: ${each.signedBy}`);
    if (each.trusted !== undefined) lines.push(`Trusted: ${each.trusted}`);
    return `${lines.join("\n")}\n`;
  });
  return stanzas.join("\n");
}

interface Fields {
  readonly uris: string;
  readonly suites: string;
  readonly components: string;
  readonly architectures: string | undefined;
  readonly signedBy: string | undefined;
  readonly trusted: string | undefined;
}

/** A list of one or none: sources of other architectures, on discs, and flat archives serve nothing here. */
function source(fields: Fields): AptSource[] {
  const architectures = words(fields.architectures ?? "");
  if (architectures.length > 0 && !architectures.includes("amd64")) return [];
  const uris = words(fields.uris).filter((uri) => !uri.startsWith("cdrom:"));
  const [suites, components] = [words(fields.suites), words(fields.components)];
  if (uris.length === 0 || suites.length === 0 || components.length === 0) return [];
  const { signedBy, trusted } = fields;
  return [
    {
      uris,
      suites,
      components,
      ...(signedBy === undefined ? {} : { signedBy }),
      ...(trusted === undefined ? {} : { trusted }),
    },
  ];
}

function withoutComment(line: string): string {
  return splitAt(line, "#")[0].trim();
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
