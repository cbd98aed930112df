import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isPublicAgentPath } from "./agent-path.ts";

describe("isPublicAgentPath", () => {
  it("the routes that clients use are open", () => {
    for (const path of [
      "/health",
      "/files?path=%2Finit",
      "/process.Process/Start",
      "/filesystem.Filesystem/Stat",
      "/envs",
    ]) {
      assert.ok(isPublicAgentPath(path), path);
    }
  });

  it("control routes are closed, however they are spelled", () => {
    const spellings = [
      "/init",
      "/init?x",
      "//init",
      "/./init",
      "/%69nit",
      "/INIT",
      "/files/../init",
      "/init/",
      "/freeze",
    ];
    for (const path of [
      ...spellings,
      "/fsthaw",
      "/collapse",
      "/upgrade",
      "/process.Process/../../init",
      "",
      "*",
    ]) {
      assert.ok(!isPublicAgentPath(path), path);
    }
  });
});
