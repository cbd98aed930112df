import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Addressed, destinationOf } from "./destination.ts";

const addressing = { domain: "sbx.test", boundHost: "127.0.0.1" };

function to(host: string | undefined, more: Partial<Addressed> = {}) {
  const request = {
    target: "/",
    host,
    sandboxId: undefined,
    sandboxPort: undefined,
    localAddress: "127.0.0.1",
    ...more,
  };
  return destinationOf(request, addressing);
}

describe("destinationOf", () => {
  it("a host of ours without headers is the API", () => {
    for (const host of ["localhost", "127.0.0.1:8700", "[::1]:8700", "sbx.test", "api.sbx.test:8443"]) {
      assert.deepEqual(to(host), { kind: "api" }, host);
    }
  });

  it("a host label names port and sandbox, whatever client id the oldest clients add", () => {
    const sandbox = { kind: "sandbox", id: "iabc", port: 3000 };
    assert.deepEqual(to("3000-iabc.sbx.test:8443"), sandbox);
    assert.deepEqual(to("3000-iabc.localhost:8700"), sandbox);
    assert.deepEqual(to("3000-iabc-larder.sbx.test"), sandbox);
  });

  it("the headers name a sandbox when the host is localhost, an address or sandbox.DOMAIN", () => {
    const headers = { sandboxId: "iabc", sandboxPort: "49983" };
    for (const host of ["localhost:8700", "127.0.0.1:8700", "sandbox.sbx.test"]) {
      assert.deepEqual(to(host, headers), { kind: "sandbox", id: "iabc", port: 49983 }, host);
    }
    assert.deepEqual(to("3000-ixyz.sbx.test", headers), { kind: "sandbox", id: "ixyz", port: 3000 });
  });

  it("a bad host, id or port is refused with 400", () => {
    for (const host of [
      "abc.sbx.test",
      "0-iabc.sbx.test",
      "70000-iabc.sbx.test",
      "-.localhost",
      "3000-.localhost",
    ]) {
      assert.equal(status(to(host)), 400, host);
    }
    assert.equal(status(to("localhost", { sandboxId: "iabc" })), 400);
    assert.equal(status(to("localhost", { sandboxId: "../x", sandboxPort: "1" })), 400);
    assert.equal(status(to("sandbox.sbx.test")), 400);
    assert.equal(status(to(undefined)), 400);
  });

  it("a target that is no path is refused: it would name another host than the header", () => {
    assert.equal(status(to("localhost", { target: "http://evil.example/healthz" })), 400);
    assert.equal(status(to("localhost", { target: "*" })), 400);
  });

  it("a foreign host is refused with 421, with sandbox headers too", () => {
    for (const host of ["evil.example", "localhost.evil.example", "10.0.0.7", "evilsbx.test"]) {
      assert.equal(status(to(host)), 421, host);
      assert.equal(status(to(host, { sandboxId: "iabc", sandboxPort: "80" })), 421, host);
    }
  });

  it("the address at which a connection arrived is a host of ours", () => {
    assert.deepEqual(to("10.0.0.7:8700", { localAddress: "::ffff:10.0.0.7" }), { kind: "api" });
  });
});

function status(destination: ReturnType<typeof destinationOf>): number | undefined {
  return destination.kind === "refused" ? destination.status : undefined;
}
