import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, it } from "node:test";
import { claimAddress } from "./claim-address.ts";

describe("claimAddress", () => {
  it("a free address may be claimed again and again", async () => {
    await claimAddress("127.0.0.1", 0);
    await claimAddress("127.0.0.1", 0);
  });

  it("a port that is taken is told with the setting to change", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await assert.rejects(claimAddress("127.0.0.1", port), { code: "conflict", message: /LARDER_PORT/ });
    server.close();
    await once(server, "close");
  });

  it("an address of another machine is told with the setting to change", async () => {
    await assert.rejects(claimAddress("192.0.2.1", 0), { code: "invalid", message: /LARDER_HOST/ });
  });
});
