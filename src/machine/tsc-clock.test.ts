import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { hostTscKhz, parseTscKhz } from "./tsc-clock.ts";

const cpuinfo = (megahertz: string, bogomips: string) =>
  `processor\t: 0\ncpu MHz\t\t: ${megahertz}\n` +
  `bogomips\t: ${bogomips}\n\nprocessor\t: 1\ncpu MHz\t\t: 1.0\nbogomips\t: 2.0\n`;

describe("parseTscKhz", () => {
  const parse = (megahertz: string, bogomips: string, tscFreqKhz?: string) =>
    parseTscKhz({ cpuinfo: cpuinfo(megahertz, bogomips), tscFreqKhz });

  it("takes the first processor's frequency, to the kilohertz, when both tellings agree", () => {
    assert.equal(parse("2096.032", "4192.06"), 2_096_032);
  });

  it("takes half the bogomips of a processor that is saving power or boosted", () => {
    assert.equal(parse("800.000", "4192.06"), 2_096_030);
    assert.equal(parse("3700.123", "4192.06"), 2_096_030);
  });

  it("prefers what the kernel says outright", () => {
    assert.equal(parse("800.000", "1600.00", "2096031\n"), 2_096_031);
    assert.equal(parse("2096.032", "4192.06", "garbage"), 2_096_032);
  });

  it("makes do with either, and fails with neither", () => {
    assert.equal(parseTscKhz({ cpuinfo: "cpu MHz : 1000.5\n", tscFreqKhz: undefined }), 1_000_500);
    assert.equal(parseTscKhz({ cpuinfo: "bogomips : 2001.00\n", tscFreqKhz: undefined }), 1_000_500);
    assert.throws(() => parseTscKhz({ cpuinfo: "cpu MHz : 0.000\n", tscFreqKhz: undefined }), {
      code: "unavailable",
    });
  });
});

describe("hostTscKhz", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "tsc-"));
    file = path.join(directory, "tsc-khz.json");
  });

  afterEach(() => rm(directory, { recursive: true }));

  it("is read once per boot of the host, and kept", async () => {
    const tscKhz = await hostTscKhz(directory);
    assert.ok(tscKhz > 100_000, `it is ${tscKhz}`);
    const kept = JSON.parse(await readFile(file, "utf8")) as { bootId: string };
    await writeFile(file, JSON.stringify({ ...kept, tscKhz: 123 }));
    assert.equal(await hostTscKhz(directory), 123);
    await writeFile(file, JSON.stringify({ bootId: "another boot", tscKhz: 123 }));
    assert.equal(await hostTscKhz(directory), tscKhz);
    await writeFile(file, "no JSON");
    assert.equal(await hostTscKhz(directory), tscKhz);
    assert.deepEqual(await readdir(directory), ["tsc-khz.json"]);
  });
});
