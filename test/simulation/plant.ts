import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type PlantedFault, plantedFaults } from "./planted-faults.ts";

/**
 * Does the simulation bite? Faults that were reported of systems of this kind are planted in a copy of the source, one
 * at a time, and worlds go by until one is not as promised. Writes the table in docs/simulation.md.
 *
 *   npm run planted                 all of them
 *   npm run planted -- 2526 k3s     some
 *   … --worlds 1000                 gives up after so many
 */
const root = path.resolve(import.meta.dirname, "../..");
const page = path.join(root, "docs/simulation.md");
const { values, positionals: wanted } = parseArgs({
  options: { worlds: { type: "string", default: "2000" } },
  allowPositionals: true,
});
/** After so many worlds in which nothing was noticed it is given up. */
const worldsMax = Number(values.worlds);
/** A loop of promises hears no timer: then it is killed. */
const worldsMsMax = 600_000;
const copies = 2;

interface Verdict {
  readonly planted: PlantedFault;
  /** Undefined: nothing was noticed. */
  readonly worlds: number | undefined;
  readonly noticed: string;
}

const chosen = plantedFaults.filter(
  ({ seenIn, fault }) => wanted.length === 0 || wanted.some((word) => `${seenIn} ${fault}`.includes(word)),
);
const waiting = [...chosen];
const verdicts: Verdict[] = [];
await Promise.all(Array.from({ length: copies }, work));
const missed = verdicts.filter(({ worlds }) => worlds === undefined).length;
console.log(`${verdicts.length} faults were planted, ${missed} were not noticed`);
await writeTable();
process.exitCode = missed === 0 ? 0 : 1;

async function work(): Promise<void> {
  const copy = await mkdtemp(path.join(tmpdir(), "larder-planted-"));
  try {
    for (const part of ["src", "test/simulation", "package.json"])
      await cp(path.join(root, part), path.join(copy, part), { recursive: true });
    await symlink(path.join(root, "node_modules"), path.join(copy, "node_modules"));
    for (let planted = waiting.shift(); planted !== undefined; planted = waiting.shift()) {
      const verdict = await plant(copy, planted);
      verdicts.push(verdict);
      console.log(`${verdict.worlds ?? "MISSED"}  ${planted.fault}: ${verdict.noticed}`);
    }
  } finally {
    await rm(copy, { recursive: true });
  }
}

/** Changes the copy, lets worlds go by, and changes it back. */
async function plant(copy: string, planted: PlantedFault): Promise<Verdict> {
  const file = path.join(copy, planted.file);
  const text = await readFile(file, "utf8");
  if (text.split(planted.find).length !== 2)
    return { planted, worlds: undefined, noticed: `${planted.file} has its line not exactly once` };
  await writeFile(
    file,
    text.replace(planted.find, () => planted.replace),
  );
  try {
    const { printed, killed } = await letWorldsGoBy(copy);
    const [, count] = /^(\d+) worlds, 1 failed/m.exec(printed) ?? [];
    const [, what] = /^seed \d+: (.*)$/m.exec(printed) ?? [];
    if (count !== undefined) return { planted, worlds: Number(count), noticed: what ?? "" };
    if (killed) return { planted, worlds: undefined, noticed: `nothing in ${worldsMsMax / 1000} s` };
    const isOver = /^\d+ worlds, 0 failed/m.test(printed);
    return isOver
      ? { planted, worlds: undefined, noticed: `nothing in ${worldsMax} worlds` }
      : { planted, worlds: 1, noticed: "the process ended" };
  } finally {
    await writeFile(file, text);
  }
}

async function letWorldsGoBy(copy: string): Promise<{ printed: string; killed: boolean }> {
  const seeds = ["--seeds", String(worldsMax), "--threads", "1", "--until-failure"];
  const args = ["test/simulation/run.ts", ...seeds];
  const child = spawn(process.execPath, args, { cwd: copy, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (piece: Buffer) => (printed += String(piece)));
  let killed = false;
  const timer = setTimeout(() => {
    killed = true;
    child.kill("SIGKILL");
  }, worldsMsMax);
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  return { printed, killed };
}

/** Rows of faults that were not planted this time stay as they were. */
async function writeTable(): Promise<void> {
  const marker = "<!-- written by test/simulation/plant.ts -->";
  const [before = "", after = ""] = (await readFile(page, "utf8")).split(marker);
  const rows = new Map(after.split("\n").map((row) => [row.split(" | ")[1] ?? "", row]));
  for (const { planted, worlds, noticed } of verdicts) {
    const what = noticed.replace(/^(\w*Error( \[\w+\])?: )+/, "").replaceAll("|", "\\|");
    const cells = [planted.seenIn, planted.fault, String(worlds ?? "–"), what.slice(0, 110)];
    rows.set(planted.fault, `| ${cells.join(" | ")} |`);
  }
  const inOrder = plantedFaults.flatMap(({ fault }) => rows.get(fault) ?? []);
  const head = ["| seen in | fault | worlds | noticed by |", "|---|---|---|---|"];
  await writeFile(page, `${before}${marker}\n\n${[...head, ...inOrder].join("\n")}\n`);
}
