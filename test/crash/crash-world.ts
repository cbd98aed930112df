import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { hash } from "node:crypto";
import { cp, mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { dataRanges } from "../../src/base/sparse-file.ts";
import { SeededRandom } from "../../src/base/testing/seeded-random.ts";
import { DirectoryBucket } from "../../src/bucket/directory-bucket.ts";
import { chunkBytes } from "../../src/build/artifact.ts";
import { ArtifactIndex } from "../../src/build/artifact-index.ts";
import { isZero } from "../../src/build/is-zero.ts";
import { parseManifest } from "../../src/build/manifest.ts";
import { type PublishedBuild, publishRandomBuild } from "../../src/build/testing/published-build.ts";
import { realDisk } from "../../src/cache/disk.ts";
import { Journal } from "../../src/cache/journal.ts";
import { Ledger } from "../../src/cache/ledger.ts";
import { checkBucket, checkEnd, checkNode } from "./check-node.ts";
import { workOnNode } from "./node-workload.ts";
import { never, openCache, type Place, work } from "./workload.ts";

/** What a run does to its disk: all of it, and by kind. */
export interface Steps {
  readonly steps: number;
  readonly kinds: Readonly<Record<string, number>>;
}

/** A bucket with some builds, and for every kill point a fresh shelf. */
export class CrashWorld implements AsyncDisposable {
  readonly #directory: string;
  readonly #builds: readonly PublishedBuild[];

  private constructor(directory: string, builds: readonly PublishedBuild[]) {
    this.#directory = directory;
    this.#builds = builds;
  }

  static async make(): Promise<CrashWorld> {
    const directory = await mkdtemp(path.join(tmpdir(), "larder-crash-"));
    const bucket = new DirectoryBucket(path.join(directory, "bucket"));
    const random = new SeededRandom(7);
    const builds = [];
    for (let i = 0; i < 2; i++) builds.push(await publishRandomBuild(bucket, random, { chunks: 6 }));
    const unfinished = path.join(directory, "bucket", "builds", "33333333-3333-4333-8333-333333333333");
    await mkdir(unfinished);
    await writeFile(path.join(unfinished, "rootfs.pack"), "half of it");
    await writeFile(path.join(directory, "bucket", "blobs", "sha256", "ab".repeat(32)), "nobody's");
    return new CrashWorld(directory, builds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true });
  }

  /** Steps of a run that nobody kills. */
  async countSteps(): Promise<Steps> {
    await using own = await this.#place();
    return JSON.parse(await runChild(own.place, 0)) as Steps;
  }

  /** Kills a fresh run right before a step, and checks all that was promised for the next start. */
  async killAt(step: number): Promise<void> {
    await using own = await this.#place();
    const { place } = own;
    await runChild(place, step);
    await checkBucket(place);
    const kept = await this.#checkKept(place);
    await this.#checkNextStart(place, kept);
    await checkNode(place, this.#image(place.builds[0] ?? "", "rootfs"));
    await checkBucket(place);
    await work(place, realDisk);
    await workOnNode(place, realDisk);
    await checkBucket(place);
    await checkEnd(place);
  }

  /** A shelf and a store that are empty, and a bucket as it was made, with some garbage. */
  async #place(): Promise<AsyncDisposable & { place: Place }> {
    const directory = await mkdtemp(path.join(this.#directory, "place-"));
    const builds = this.#builds.map(({ build }) => build);
    const [shelf, data, bucket] = ["shelf", "data", "bucket"].map((name) => path.join(directory, name));
    const place = { shelf: shelf ?? "", data: data ?? "", bucket: bucket ?? "", builds };
    await cp(path.join(this.#directory, "bucket"), place.bucket, { recursive: true });
    return { place, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  }

  /** C21: whatever the journal says is kept lies there, byte for byte. Returns names of those chunks. */
  async #checkKept({ shelf }: Place): Promise<Set<string>> {
    const names = new Set<string>();
    const ledger = new Ledger(await Journal.read(realDisk, shelf));
    for (const [build, { chunks, manifestDigest }] of ledger.builds) {
      const directory = path.join(shelf, "builds", build);
      const manifest = await readFile(path.join(directory, "manifest.json"));
      assert.equal(hash("sha256", manifest), manifestDigest, "the manifest that the journal names");
      for (const [artifact, numbers] of chunks) {
        if (numbers.size === 0) continue;
        const data = await readFile(path.join(directory, `${artifact}.data`));
        const image = parseManifest(manifest, build)[artifact];
        assert.ok(image !== undefined);
        const encoded = await readFile(path.join(directory, `${artifact}.index`));
        assert.equal(hash("sha256", encoded), image.index.digest, "the index that the manifest names");
        const index = ArtifactIndex.decode(encoded, { build, artifact, image });
        for (const chunk of numbers) {
          const name = `${build}/${artifact}/${chunk}`;
          const bytes = chunkOf(data, chunk);
          const stored = index.layout.chunks[chunk];
          if (stored === null) assert.ok(isZero(bytes), `${name} is kept`);
          else assert.equal(hash("sha256", bytes), stored?.digest.toString("hex"), `${name} is kept`);
          names.add(name);
        }
      }
    }
    return names;
  }

  /** C21, C22: right bytes, the bucket only for what is missing, no file left that nothing explains. */
  async #checkNextStart(place: Place, kept: ReadonlySet<string>): Promise<void> {
    const asked: string[] = [];
    await using cache = await openCache(place, realDisk, ({ build, artifact, firstChunk, count }) => {
      for (let i = 0; i < count; i++) asked.push(`${build}/${artifact}/${firstChunk + i}`);
    });
    for (const { build, rootfs, memfile = Buffer.alloc(0) } of this.#builds) {
      await using lease = await cache.acquire(build, "check", never);
      for (const artifact of ["rootfs", "memfile"] as const) {
        await lease.open(artifact, never);
        await this.#checkFreed(place, build, artifact, kept);
        const content = Buffer.alloc(artifact === "rootfs" ? rootfs.length : memfile.length);
        await lease.image(artifact).read(0, content, never);
        assert.ok(content.equals(this.#image(build, artifact)), `${artifact} of build ${build}`);
      }
    }
    assert.deepEqual(
      asked.filter((name) => kept.has(name)),
      [],
      "the bucket was needed for what is missing alone",
    );
    const { kept: bytes } = cache.inspect().bytes;
    assert.ok(bytes <= (await apparentBytes(place.shelf)), "no byte is counted twice");
    for (const file of await readdir(place.shelf, { recursive: true })) assert.doesNotMatch(file, /\.new$/);
  }

  /** C21: what no record explains is a hole again once the file is open. */
  async #checkFreed(
    { shelf }: Place,
    build: string,
    artifact: "rootfs" | "memfile",
    kept: ReadonlySet<string>,
  ) {
    await using file = await open(path.join(shelf, "builds", build, `${artifact}.data`), "r");
    for (const { offset, length } of dataRanges(file.fd, (await file.stat()).size)) {
      for (let at = offset; at < offset + length; at += chunkBytes) {
        const chunk = Math.floor(at / chunkBytes);
        assert.ok(kept.has(`${build}/${artifact}/${chunk}`), `chunk ${chunk} is explained`);
      }
    }
  }

  #image(build: string, artifact: "rootfs" | "memfile"): Buffer {
    return this.#builds.find((each) => each.build === build)?.[artifact] ?? Buffer.alloc(0);
  }
}

function chunkOf(bytes: Buffer, chunk: number): Buffer {
  return bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
}

/** Sizes of all files of a shelf but lock and journal. */
async function apparentBytes(shelf: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(shelf, { recursive: true })) {
    const found = await stat(path.join(shelf, name));
    if (found.isFile() && name !== "lock" && name !== "journal") bytes += found.size;
  }
  return bytes;
}

/** Resolves to what the child printed; it must have been killed when that was asked for, and only then. */
async function runChild(place: Place, step: number): Promise<string> {
  const program = path.join(import.meta.dirname, "crash-child.ts");
  const args = [program, JSON.stringify(place), String(step)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], timeout: 120_000 });
  const pieces: Buffer[] = [];
  child.stdout.on("data", (piece: Buffer) => pieces.push(piece));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (...how) => resolve(how));
  });
  // The number of steps differs a little from run to run: one that came to its end was killed by nobody.
  if (step === 0 || signal === null) assert.equal(code, 0);
  else assert.equal(signal, "SIGKILL");
  return Buffer.concat(pieces).toString().trim();
}
