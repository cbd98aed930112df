/** What stands in the first element of this name, its entities resolved; undefined when there is none. */
export function textOf(xml: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text === undefined ? undefined : unescapeXml(text);
}

/** What stands between the tags of every element of this name, in order. Elements of one name do not nest. */
export function partsOf(xml: string, element: string): string[] {
  return Array.from(
    xml.matchAll(new RegExp(`<${element}>(.*?)</${element}>`, "gs")),
    (match) => match[1] ?? "",
  );
}

/** True when the document is one of these, whole. Object stores put no prefixes before their names. */
export function isDocument(xml: string, root: string): boolean {
  return new RegExp(`^\\s*(<\\?xml[^>]*\\?>)?\\s*<${root}[\\s>].*</${root}>\\s*$`, "s").test(xml);
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return entities[name as string] ?? whole;
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
