import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fetchingMutants } from "./fetching-mutants.ts";
import { keepingMutants } from "./keeping-mutants.ts";
import { lendingMutants } from "./lending-mutants.ts";
import type { Mutant } from "./mutant.ts";
import { peerMutants } from "./peer-mutants.ts";
import { publishingMutants } from "./publishing-mutants.ts";

/**
 * Do the tests bite? Each promise of docs/semantics.md is guarded by lines of code. Here those lines are changed, one
 * at a time, in a copy of the source, and the test that bears the promise's id must fail for it.
 *
 *   node test/mutants/run.ts            all of them
 *   node test/mutants/run.ts C3 C12     those of some promises
 */
const root = path.resolve(import.meta.dirname, "../..");
/** Copies of the source that are mutated side by side. */
const copiesMax = 2;
/** A test that a mutation makes run for ever has failed too. It is killed: a loop of promises hears no timer. */
const testMsMax = 60_000;

interface Verdict {
  readonly mutant: Mutant;
  readonly caught: boolean;
  readonly why: string;
}

const wanted = process.argv.slice(2);
const chosen = [
  ...fetchingMutants,
  ...keepingMutants,
  ...lendingMutants,
  ...peerMutants,
  ...publishingMutants,
].filter(({ promise }) => wanted.length === 0 || wanted.includes(promise));
const waiting = [...chosen];
const verdicts: Verdict[] = [];
/** How each test ends without any mutation; run once, however many mutations it must catch. */
const healthy = new Map<string, Promise<Outcome>>();
await Promise.all(Array.from({ length: copiesMax }, work));
process.exitCode = report(verdicts);

async function work(): Promise<void> {
  if (waiting.length === 0) return;
  const copy = await mkdtemp(path.join(tmpdir(), "larder-mutants-"));
  try {
    await cp(path.join(root, "src"), path.join(copy, "src"), { recursive: true });
    await cp(path.join(root, "package.json"), path.join(copy, "package.json"));
    await symlink(path.join(root, "node_modules"), path.join(copy, "node_modules"));
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const verdict = await judge(copy, mutant);
      verdicts.push(verdict);
      console.log(lineOf(verdict));
    }
  } finally {
    await rm(copy, { recursive: true });
  }
}

/** Changes the copy, runs the test, and changes it back. */
async function judge(copy: string, mutant: Mutant): Promise<Verdict> {
  const file = path.join(copy, mutant.file);
  const source = await readFile(file, "utf8").catch(() => "");
  const places = source.split(mutant.find).length - 1;
  if (places !== 1)
    return { mutant, caught: false, why: `its line is found ${places} times in ${mutant.file}` };
  const before = await outcomeBefore(copy, mutant);
  if (before !== "passed") return { mutant, caught: false, why: `its test ${before} without the mutation` };
  await writeFile(
    file,
    source.replace(mutant.find, () => mutant.replace),
  );
  try {
    const outcome = await runTest(copy, mutant);
    const caught = outcome === "failed" || outcome === "did not end";
    return { mutant, caught, why: `its test ${outcome}` };
  } finally {
    await writeFile(file, source);
  }
}

function outcomeBefore(copy: string, mutant: Mutant): Promise<Outcome> {
  const key = `${mutant.test} ${mutant.title}`;
  const known = healthy.get(key) ?? runTest(copy, mutant);
  healthy.set(key, known);
  return known;
}

type Outcome = "passed" | "failed" | "did not end" | "was not found" | "could not be loaded";

/** Runs the tests whose titles begin as the mutant says; a file that cannot even be loaded proves nothing. */
async function runTest(copy: string, { test, title }: Mutant): Promise<Outcome> {
  const pattern = `--test-name-pattern=/(^| )${escaped(title)}/`;
  // In one process, so that killing it ends all of it.
  const options = ["--test", "--test-isolation=none", "--test-reporter=tap", pattern];
  const { output, killed } = await outputOf([...options, test], copy);
  if (killed) return "did not end";
  const results = output.split("\n").filter((line) => line.includes("ok ") && line.includes(`- ${title}`));
  const ran = results.filter((line) => !line.includes("# SKIP"));
  if (ran.some((line) => line.trim().startsWith("not ok"))) return "failed";
  if (ran.length > 0) return "passed";
  return /^not ok/m.test(output) ? "could not be loaded" : "was not found";
}

function outputOf(args: readonly string[], cwd: string): Promise<{ output: string; killed: boolean }> {
  return new Promise((resolve, reject) => {
    const options = { cwd, timeout: testMsMax, killSignal: "SIGKILL" } as const;
    const child = spawn(process.execPath, args, { ...options, stdio: ["ignore", "pipe", "ignore"] });
    const pieces: Buffer[] = [];
    child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
    child.on("error", reject);
    child.on("close", (_code, signal) => {
      resolve({ output: Buffer.concat(pieces).toString(), killed: signal === "SIGKILL" });
    });
  });
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
}

function lineOf({ mutant, caught, why }: Verdict): string {
  const { promise, change, test, title } = mutant;
  const outcome = caught ? "caught  " : "SURVIVED";
  return `${outcome} ${promise} → ${change} → ${test} "${title}"${caught ? "" : `: ${why}`}`;
}

function report(all: readonly Verdict[]): number {
  const survivors = all.filter(({ caught }) => !caught);
  console.log(`${all.length} mutations, ${survivors.length} survived`);
  for (const survivor of survivors) console.log(lineOf(survivor));
  return all.length === 0 || survivors.length > 0 ? 1 : 0;
}
