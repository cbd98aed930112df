import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Scene } from "./testing/scene.ts";

describe("a sandbox", () => {
  it("keeps its ports private when asked to, with a token of their own", async () => {
    await using scene = await Scene.open();
    const ingress = { public: false, maskHost: "localhost:${PORT}", httpsPorts: [8443] };
    const view = await scene.create({ ingress });
    assert.deepEqual(view.ingress, ingress);
    assert.match(view.trafficToken ?? "", /^[0-9a-f]{64}$/);
    assert.notEqual(view.trafficToken, view.accessToken);
    const { maskHost, httpsPorts } = ingress;
    assert.deepEqual(scene.sandboxes.ingress(view.id), {
      trafficToken: view.trafficToken,
      maskHost,
      httpsPorts,
    });
    assert.deepEqual((await scene.store.sandboxes.get(view.id))?.ingress, ingress);
    await assert.rejects(scene.create({ ingress, secure: false }), { code: "invalid" });
    assert.throws(() => scene.sandboxes.ingress("inone"), { code: "not_found" });
  });
});
