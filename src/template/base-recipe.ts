import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { guestDirectory } from "./initrd.ts";

/** What the template `base` is made of. */
export const baseRecipe = {
  name: "base",
  memoryBytes: 512 * 1024 ** 2,
  diskBytes: 10 * 1024 ** 3,
  journalMib: 16,
  /** Emulation gains nothing from a second processor and pays for it. */
  vcpus: { kvm: 2, tcg: 1 },
  defaultUser: "user",
  defaultWorkdir: "/home/user",
  /** Debian's packages beside those that are essential, without what they only recommend. */
  packages: [
    "attr",
    "ca-certificates",
    "curl",
    "git",
    "iproute2",
    "iputils-ping",
    "ncurses-base",
    "ncurses-bin",
    "procps",
    "python-is-python3",
    "python3",
    "sudo",
    "util-linux",
  ],
} as const;

/** Changes when the root disk has to be made again: with the suite, the packages, or what is done to them. */
export async function rootDiskDigest(suite: string): Promise<string> {
  const { packages, diskBytes, journalMib } = baseRecipe;
  const script = await readFile(path.join(guestDirectory, "customise-root"), "utf8");
  return digestOf({ suite, packages, diskBytes, journalMib, script });
}

/** Changes when the template has to be made again, on the same machine. `agent` is the guest's bundled program. */
export async function recipeDigest(suite: string, agent: Buffer): Promise<string> {
  const scripts: string[] = [];
  for (const name of ["init", "second-stage"])
    scripts.push(await readFile(path.join(guestDirectory, name), "utf8"));
  const { memoryBytes, vcpus, defaultUser, defaultWorkdir } = baseRecipe;
  const agentDigest = createHash("sha256").update(agent).digest("hex");
  const rootDisk = await rootDiskDigest(suite);
  return digestOf({
    memoryBytes,
    vcpus,
    defaultUser,
    defaultWorkdir,
    rootDisk,
    scripts,
    agentDigest,
    node: process.version,
  });
}

function digestOf(facts: object): string {
  return createHash("sha256").update(JSON.stringify(facts)).digest("hex");
}
