import { access, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { type AptSource, parseDeb822Sources, parseOneLineSources } from "./apt-sources.ts";
import type { HostSystem } from "./debian-sources.ts";

const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Reads what the choice of sources depends on. What is missing counts as empty. */
export async function readHostSystem(etc = "/etc"): Promise<HostSystem> {
  const release = parseRelease(await textOf(path.join(etc, "os-release")));
  const keyring = await access(debianKeyring).then(
    () => debianKeyring,
    () => undefined,
  );
  return { release, sources: await readSources(path.join(etc, "apt")), keyring };
}

async function readSources(apt: string): Promise<AptSource[]> {
  const folder = path.join(apt, "sources.list.d");
  const names = (await readdir(folder).catch((): string[] => [])).sort();
  const sources = parseOneLineSources(await textOf(path.join(apt, "sources.list")));
  for (const name of names) {
    const text = await textOf(path.join(folder, name));
    if (name.endsWith(".list")) sources.push(...parseOneLineSources(text));
    if (name.endsWith(".sources")) sources.push(...parseDeb822Sources(text));
  }
  return sources;
}

function parseRelease(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/^(\w+)=["']?(.*?)["']?$/gm)];
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value]));
}

function textOf(file: string): Promise<string> {
  return readFile(file, "utf8").catch(() => "");
}
