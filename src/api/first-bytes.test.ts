import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { protocolOf } from "./first-bytes.ts";

describe("protocolOf", () => {
  it("tells TLS, HTTP/2 and HTTP/1 apart by how they begin", () => {
    assert.equal(protocolOf(Buffer.from([0x16, 3, 1])), "tls");
    assert.equal(protocolOf(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), "http2");
    for (const start of ["G", "GET / HTTP/1.1\r\n", "PROPFIND / HTTP/1.1", "PRI * HTTP/1.1", "\0", "\r\n"]) {
      assert.equal(protocolOf(Buffer.from(start)), "http1", JSON.stringify(start));
    }
  });

  it("waits for more as long as both versions of HTTP are possible", () => {
    for (const start of ["", "P", "PRI", "PRI * HTTP/2."])
      assert.equal(protocolOf(Buffer.from(start)), undefined);
  });
});
