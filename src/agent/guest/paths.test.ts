import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../../base/failure.ts";
import { resolvePath } from "./paths.ts";

const home = "/home/ada";

describe("resolvePath", () => {
  it("starts relative paths and ~ at the user's home", () => {
    const cases = {
      "a/b": "/home/ada/a/b",
      "~": home,
      "~/x": "/home/ada/x",
      "/etc/../tmp/": "/tmp",
      ".": home,
    };
    for (const [path, expected] of Object.entries(cases)) {
      assert.equal(resolvePath(path, { home, defaultWorkdir: "/code" }), expected);
    }
  });

  it("takes the default working directory for an empty path, else the home", () => {
    assert.equal(resolvePath("", { home, defaultWorkdir: "/code" }), "/code");
    assert.equal(resolvePath("", { home, defaultWorkdir: undefined }), home);
  });

  it("refuses other people's ~ and NUL bytes", () => {
    for (const path of ["~bob/x", "a\0b"]) {
      assert.throws(
        () => resolvePath(path, { home, defaultWorkdir: undefined }),
        (error) => Failure.is(error, "invalid"),
      );
    }
  });
});
