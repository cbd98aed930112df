import type { PlantedFault } from "./planted-faults.ts";

const wholeFiles = "src/cache/whole-files.ts";
const fetcher = "src/cache/chunk-fetcher.ts";

/** Of room, restarts and publishing. */
export const keepingFaults: readonly PlantedFault[] = [
  {
    seenIn: "e2b-dev/infra#3494",
    fault: "files of what is gone are never removed",
    file: wholeFiles,
    find: "    await onDisk(directory, this.#disk.remove(directory));",
    replace: "",
  },
  {
    seenIn: "e2b-dev/infra, pins as a set",
    fault: "the end of one lease ends them all",
    file: "src/cache/template-cache.ts",
    find: "    leases.delete(lease);",
    replace: "    leases.clear();",
  },
  {
    seenIn: "e2b-dev/infra, a full disk",
    fault: "nothing is reserved before it is written",
    file: "src/cache/room.ts",
    find: "if (!this.fits(bytes)) return undefined;",
    replace: "",
  },
  {
    seenIn: "chia-gui#3068",
    fault: "temporary files are outside of the budget",
    file: wholeFiles,
    find: "    using room = await this.#room.reserve(file.entry.bytes, file.objectName, signal);",
    replace: "    using room = await this.#room.reserve(0, file.objectName, signal);",
  },
  {
    seenIn: "e2b-dev/infra#2041, CubeSandbox#1797",
    fault: "a start forgets what was kept",
    file: "src/cache/ledger.ts",
    find: "for (const chunk of chunksIn(record.ranges)) chunksOf(kept, record.artifact).add(chunk);",
    replace: "",
  },
  {
    seenIn: "e2b-dev/infra#2136",
    fault: "what a crash has left stays for ever",
    file: "src/cache/recovery.ts",
    find: "if (isKnown(name)) continue;",
    replace: "if (isKnown(name) || name !== undefined) continue;",
  },
  {
    seenIn: "e2b-dev/infra#2993",
    fault: "a build that is not published yet is evicted at a start",
    file: "src/cache/evictor.ts",
    find: "if (!this.#settled || (",
    replace: "if ((",
  },
  {
    seenIn: "tracecat#3139",
    fault: "a restart forgets what was used when",
    file: "src/cache/ledger.ts",
    find: "    kept.usedAt = record.at;",
    replace: "    kept.usedAt = 0;",
  },
  {
    seenIn: "none of these: promise C17",
    fault: "a long lease counts as used when it begins",
    file: "src/cache/template-cache.ts",
    find: "    if (!lease.looks) entry.usedAt = this.#tools.clock.now();",
    replace: "    if (!lease.looks) entry.usedAt = lease.since;",
  },
  {
    seenIn: "e2b-dev/infra#2993",
    fault: "an upload that fails is forgotten, and its build is gone",
    file: "src/sandbox/publisher.ts",
    find: "if (!cancelled.aborted && !this.#over.signal.aborted) this.#putOff(publication, error);",
    replace: "if (!cancelled.aborted && !this.#over.signal.aborted) this.#waiting.delete(build);",
  },
  {
    seenIn: "e2b-dev/infra, a header before its data",
    fault: "a manifest is put before what it names",
    file: "src/build/put-made-build.ts",
    find: "  for (const { key, file } of objectsOf(directory, manifest))\n",
    replace:
      "  const early = await files.read(path.join(directory, madeManifestName));\n" +
      '  await bucket.put(manifestKey(build), early, { ifNoneMatch: "*" }, signal);\n' +
      "  for (const { key, file } of objectsOf(directory, manifest))\n",
  },
  {
    seenIn: "e2b-dev/infra#1389, #3447",
    fault: "a child is published before its parent",
    file: "src/build/put-made-build.ts",
    find: "if (await isPublished(bucket, ancestor, signal)) continue;",
    replace: "if (ancestor !== undefined) continue;",
  },
  {
    seenIn: "e2b-dev/infra, delayed deletion",
    fault: "what is to be removed counts as free before it is",
    file: "src/cache/leftovers.ts",
    find: "    await files.removeBelow(buildDirectory(directory, build));\n    room.adjust(",
    replace:
      "    void files.removeBelow(buildDirectory(directory, build)).catch(() => {});\n    room.adjust(",
  },
  {
    seenIn: "stargz-snapshotter#1584",
    fault: "a restart needs the origin although everything is kept",
    file: "src/cache/arrivals.ts",
    find: "      const manifest = await keptManifest(disk, build, folder, digest);",
    replace: "      const manifest = await keptManifest(disk, build, folder, `${digest}?`);",
  },
  {
    seenIn: "juicefs#4782",
    fault: "a disk that refuses fails the readers",
    file: fetcher,
    find: 'if (!Failure.is(error, "conflict")) this.#tools.diskTrouble(Failure.from(error));',
    replace: "throw error;",
  },
];
