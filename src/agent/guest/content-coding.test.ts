import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { codingFor } from "./content-coding.ts";

describe("codingFor", () => {
  it("packs for those who take gzip, and sends as it is to those who say nothing", () => {
    for (const header of ["gzip", "br, gzip;q=0.5", "deflate, GZIP", "*"])
      assert.equal(codingFor(header), "gzip");
    for (const header of [undefined, "", "br", "identity", "gzip;q=0", "*;q=0, identity"]) {
      assert.equal(codingFor(header), "identity", header);
    }
  });

  it("has nothing for those who refuse both", () => {
    for (const header of ["identity;q=0", "*;q=0", "br, identity;q=0, gzip;q=0"]) {
      assert.equal(codingFor(header), undefined);
    }
  });
});
