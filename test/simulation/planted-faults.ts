import { keepingFaults } from "./planted-keeping.ts";

/** A fault that was reported of a system of this kind, and the change by which this one would have it. */
export interface PlantedFault {
  /** Where it was reported. */
  readonly seenIn: string;
  readonly fault: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const flights = "src/cache/flights.ts";
const fetcher = "src/cache/chunk-fetcher.ts";
const wholeFiles = "src/cache/whole-files.ts";

/** Of fetching: entries that are poisoned, callers who are left, cancelled or asked for too often. */
const fetching: readonly PlantedFault[] = [
  {
    seenIn: "e2b-dev/infra#2526",
    fault: "a failed fetch stays, and whoever comes later is told its error",
    file: flights,
    find: "      this.#forget(key, flight);\n      this.#all.delete(flight);",
    replace:
      "      this.#forget(key, flight);\n      this.#all.delete(flight);\n" +
      "      const kept = { ...flight, controller: new AbortController(), passengers: 1 };\n" +
      "      landing.catch(() => this.#underWay.set(key, kept));",
  },
  {
    seenIn: "e2b-dev/infra#2526, review",
    fault: "evicting on failure unlinks files under readers",
    file: wholeFiles,
    find: "      backoffs.failed(file.objectName, failure);",
    replace:
      "      backoffs.failed(file.objectName, failure);\n      await this.removeBelow(path.dirname(file.path));",
  },
  {
    seenIn: "e2b-dev/infra",
    fault: "a snapshot of a file system alone lacks a memfile: taken for a failure",
    file: "src/cache/lease.ts",
    find: "const waits = artifactsOf(this.manifest).map((",
    replace: 'const waits = (["rootfs", "memfile", "snapfile", "metafile"] as const).map((',
  },
  {
    seenIn: "e2b-dev/infra#3294",
    fault: "a missing object is asked for without end",
    file: "src/cache/manifests.ts",
    find: "const notFoundMsMax = 5_000",
    replace: "const notFoundMsMax = 0",
  },
  {
    seenIn: "tailscale#18919, docker-agent#3206",
    fault: "the first caller's cancellation fails everyone",
    file: flights,
    find: "this.#underWay.get(key) ?? this.#start(key, depart)",
    replace: "this.#underWay.get(key) ?? this.#start(key, (own) => depart(AbortSignal.any([own, signal])))",
  },
  {
    seenIn: "janos#4",
    fault: "cancelling removes the key, so that two flights run at once",
    file: fetcher,
    find: "        await comeDown(flight.down, this.#tools.clock, signal);",
    replace: "",
  },
  {
    seenIn: "none of these: promise C12",
    fault: "whoever waits for a chunk waits for the rest of its request",
    file: fetcher,
    find: "        this.#land(flight, next, landed);",
    replace: "        void flight.down.then(() => this.#land(flight, next, landed));",
  },
  {
    seenIn: "none of these: promise C16",
    fault: "whoever comes while a build is being evicted gets what is going",
    file: "src/cache/template-cache.ts",
    find: "        await abortable(known.closing, signal);\n        continue;",
    replace: "        return this.#lend(known, taker);",
  },
  {
    seenIn: "rueidis#1014",
    fault: "waiters are told that all is well when the flight has failed",
    file: flights,
    find: "    const landing = (async () => depart(controller.signal))().finally(",
    replace:
      "    const landing = (async () => depart(controller.signal))().catch(() => undefined as never).finally(",
  },
  {
    seenIn: "isaacs/node-lru-cache#320, e2b-dev/infra#2358",
    fault: "what is in use is evicted, under a fetch and under its readers",
    file: "src/cache/evictor.ts",
    find: "if (leases.size > 0 || pinned) return true;",
    replace: "if (pinned) return true;",
  },
  {
    seenIn: "e2b-dev/infra#2408",
    fault: "readers wait for ever because a fetch has failed",
    file: fetcher,
    find: "for (const landing of flight.landings.values()) landing.fail(told);",
    replace: "void told;",
  },
  {
    seenIn: "e2b-dev/infra",
    fault: "closing cannot end what is being fetched",
    file: "src/cache/template-cache.ts",
    find: "for (const { residence } of this.#entries.values()) await residence.close(reason);",
    replace: "",
  },
  {
    seenIn: "containerd/overlaybd#255",
    fault: "endless retry",
    file: "src/build/retry.ts",
    find: " || this.#count >= attemptsMax",
    replace: "",
  },
];

/** Of what is believed: bytes that were not verified, or not there. */
const believing: readonly PlantedFault[] = [
  {
    seenIn: "e2b-dev/infra",
    fault: "a chunk of the right size and other bytes is kept and handed out",
    file: "src/build/verified.ts",
    find: 'if (!good) throw corrupt(request, index, "is not what its digest says");',
    replace: "void good;",
  },
  {
    seenIn: "e2b-dev/infra",
    fault: "a whole file of the right size and other bytes poisons the node",
    file: "src/cache/receive.ts",
    find: 'if (sum.digest("hex") !== entry.digest) {',
    replace: 'if (sum.digest("hex") === entry.digest.slice(1)) {',
  },
  {
    seenIn: "containerd/overlaybd#239, juicefs#5981",
    fault: "what has decayed in the cache never heals",
    file: "src/cache/chunk-file.ts",
    find: "const known = options.suspect ? this.#suspect : this.present;",
    replace: "const known = this.present;",
  },
  {
    seenIn: "juicefs#4779",
    fault: "a sealed file that has decayed is handed out",
    file: "src/cache/chunk-file.ts",
    find: "this.#sealed = options.sealed && !options.suspect;",
    replace: "this.#sealed = options.sealed;",
  },
  {
    seenIn: "e2b-dev/infra#3185",
    fault: "what is ready of one thing satisfies the readers of another",
    file: "src/cache/shelf.ts",
    find: 'return path.join(shelf, "builds", build);',
    replace: 'return path.join(shelf, "builds", build.slice(0, 0));',
  },
  {
    seenIn: "AgentENV#161",
    fault: "said to be present, and zeros after an eviction that was interrupted",
    file: "src/cache/shrink.ts",
    find: '  await journal.append({ type: "dropped", build: manifest.build, artifact, ranges });',
    replace:
      '  journal.append({ type: "dropped", build: manifest.build, artifact, ranges }).catch(() => {});',
  },
  {
    seenIn: "e2b-dev/infra, a header before its data",
    fault: "the journal says that it is kept before it is",
    file: "src/cache/chunk-keeper.ts",
    find: "    await sync().catch((error: unknown) => {",
    replace: "    await Promise.resolve().catch((error: unknown) => {",
  },
  {
    seenIn: "e2b-dev/infra#1389",
    fault: "a child whose parents go",
    file: "src/cache/template-cache.ts",
    find: "await lease.holdAncestors((ancestor)",
    replace: "if (taker.holder === undefined) await lease.holdAncestors((ancestor)",
  },
];

/** Of peers. */
const peers: readonly PlantedFault[] = [
  {
    seenIn: "spegel#1378",
    fault: "a peer that has nothing ends the read, and the origin is not asked",
    file: "src/build/first-of.ts",
    find: "if (source === sources.at(-1)) throw error;",
    replace: "throw error;",
  },
  {
    seenIn: "k3s#14617",
    fault: "what a peer says is believed",
    file: "src/peers/peer-source.ts",
    find: "verified(peer.chunks, indexes, meter).read(part, signal)",
    replace: "peer.chunks.read(part, signal)",
  },
  {
    seenIn: "bottlerocket#4564",
    fault: "a peer that is dead costs its timeout each time",
    file: "src/peers/breaker.ts",
    find: '    this.#state = "open";\n    this.#lied',
    replace: "    this.#lied",
  },
  {
    seenIn: "e2b-dev/infra, peers until the upload ends",
    fault: "every node goes to the object store",
    file: "src/peers/choose-peer.ts",
    find: "return (owner ?? keeper)?.candidate;",
    replace: "return (owner ?? keeper) === undefined ? undefined : undefined;",
  },
  {
    seenIn: "none of these: promise C23",
    fault: "a peer fetches for others what it does not use",
    file: "src/peers/answer-chunks.ts",
    find: "  if (!offered.leased) return false;\n",
    replace: "",
  },
];

export const plantedFaults = [...fetching, ...believing, ...keepingFaults, ...peers];
