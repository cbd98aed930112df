import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { encodeMetafile, type Metafile, parseMetafile } from "./metafile.ts";

const sample: Metafile = {
  version: 1,
  user: "user",
  workdir: "/home/user",
  envs: { PATH: "/usr/bin" },
  channelSecret: "00112233445566778899aabbccddeeff",
  kernelArguments: "larder.node=--jitless",
};

describe("a metafile", () => {
  it("is read as it was written", () => {
    assert.deepEqual(parseMetafile(encodeMetafile(sample), "b0"), sample);
  });

  it("is refused with a sentence when it is cut off anywhere, or any byte is not what it was", () => {
    const whole = encodeMetafile(sample);
    for (let length = 0; length < whole.length - 1; length++)
      assert.throws(() => parseMetafile(whole.subarray(0, length), "b0"), Failure);
    for (let place = 0; place < whole.length; place++) {
      const bytes = Buffer.from(whole);
      bytes[place] = 0xff;
      assert.throws(() => parseMetafile(bytes, "b0"), Failure);
    }
    assert.throws(() => parseMetafile(Buffer.from("null"), "b0"), /damaged/);
  });

  it("of a newer version is refused by its number", () => {
    const newer = Buffer.from(JSON.stringify({ ...sample, version: 2, more: true }));
    assert.throws(
      () => parseMetafile(newer, "b0"),
      (error) => Failure.is(error, "invalid"),
    );
  });
});
