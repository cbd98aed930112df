import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MmdebstrapProgress } from "./mmdebstrap-progress.ts";

const output = [
  "I: automatically chosen mode: root",
  "I: running apt-get update...",
  "I: downloading packages with apt...",
  "0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.",
  "Get:1 http://mirror.invalid/debian bookworm/main amd64 libc6 amd64 2.36 [2756 kB]",
  "Get:2 http://mirror.invalid/debian bookworm/main amd64 bash amd64 5.2 [1491 kB]",
  "I: extracting archives...",
  "I: installing essential packages...",
  "Unpacking libc6:amd64 (2.36) ...",
  "Setting up libc6:amd64 (2.36) ...",
  "Unpacking bash (5.2) ...",
  "Setting up bash (5.2) ...",
  "I: installing remaining packages inside the chroot...",
  "0 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.",
  "Get:1 http://mirror.invalid/debian bookworm/main amd64 sudo amd64 1.9 [1889 kB]",
  "Unpacking sudo (1.9) ...",
  "Setting up sudo (1.9) ...",
  "I: cleaning package lists and apt cache...",
];

describe("MmdebstrapProgress", () => {
  it("goes from nothing to the end without ever going back", () => {
    const progress = new MmdebstrapProgress();
    const told = output.map((line) => progress.next(line)).filter((each) => each !== undefined);
    const fractions = told.map(({ fraction }) => fraction);
    assert.deepEqual(
      fractions,
      fractions.toSorted((a, b) => a - b),
    );
    assert.equal(fractions[0], 0);
    assert.equal(fractions.at(-1), 0.96);
    assert.deepEqual(
      told.map(({ detail }) => detail).filter((detail) => detail.endsWith("bash")),
      ["fetching bash", "unpacking bash", "setting up bash"],
    );
  });

  it("says nothing about lines that tell nothing", () => {
    const progress = new MmdebstrapProgress();
    for (const line of ["", "dpkg: warning: ignoring pre-dependency problem!", "(Reading database ..."])
      assert.equal(progress.next(line), undefined);
  });
});
