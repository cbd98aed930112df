import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { addressesOf } from "./addresses.ts";

const plain = { boundHost: "127.0.0.1", port: 8700, tls: false, domain: undefined };

describe("addressesOf", () => {
  it("names one plain address for everything when nothing else was said", () => {
    const url = "http://127.0.0.1:8700";
    const variables = { E2B_API_URL: url, E2B_SANDBOX_URL: url };
    const sandboxes = "http://*.localhost:8700";
    assert.deepEqual(addressesOf(plain), { here: url, shown: url, sandboxes, variables });
    assert.equal(addressesOf({ ...plain, boundHost: "0.0.0.0" }).here, url);
    assert.equal(addressesOf({ ...plain, boundHost: "::1" }).here, "http://[::1]:8700");
  });

  it("names sandboxes by the domain, with the port that leads here", () => {
    assert.equal(addressesOf({ ...plain, domain: "sbx.test" }).sandboxes, "http://*.sbx.test:8700");
    assert.equal(addressesOf({ ...plain, domain: "sbx.test:80" }).sandboxes, "http://*.sbx.test:80");
  });

  it("leads clients to the domain when there is a certificate for it", () => {
    const { here, ...others } = addressesOf({ ...plain, tls: true, domain: "sbx.test:8443" });
    assert.equal(here, "http://127.0.0.1:8700");
    assert.deepEqual(others, {
      shown: "https://api.sbx.test:8443",
      sandboxes: "https://*.sbx.test:8443",
      variables: { E2B_DOMAIN: "sbx.test:8443" },
    });
  });

  it("leads clients to the bound address when there is a certificate and no domain", () => {
    const { shown, sandboxes, variables } = addressesOf({ ...plain, tls: true });
    assert.equal(shown, "https://127.0.0.1:8700");
    assert.equal(sandboxes, "https://*.localhost:8700");
    assert.deepEqual(variables, { E2B_API_URL: shown, E2B_SANDBOX_URL: shown });
  });
});
