import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hostName, isLoopback } from "./host-name.ts";

describe("hostName", () => {
  it("a host header loses its port, its brackets and its capitals", () => {
    assert.equal(hostName("LocalHost:8700"), "localhost");
    assert.equal(hostName("127.0.0.1"), "127.0.0.1");
    assert.equal(hostName("[::1]:8700"), "::1");
    assert.equal(hostName("3000-iabc.sbx.test."), "3000-iabc.sbx.test");
  });

  it("a host header that is no host is no host", () => {
    for (const header of [
      undefined,
      "",
      "a b",
      "a/b",
      "[evil.example]",
      "::1",
      "a:b:c",
      "user@host",
      "h:999999",
    ]) {
      assert.equal(hostName(header), undefined, String(header));
    }
  });
});

describe("isLoopback", () => {
  it("loopback is localhost, 127.0.0.0/8 and ::1, also when mapped", () => {
    for (const name of ["localhost", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]) {
      assert.ok(isLoopback(name), name);
    }
    for (const name of ["127.evil.example", "10.0.0.1", "::", "0.0.0.0", "localhost.evil.example"]) {
      assert.ok(!isLoopback(name), name);
    }
  });
});
