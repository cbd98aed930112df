import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { Store } from "../store/store.ts";
import { publishedTemplate } from "../store/testing/sample-records.ts";
import { templateService } from "./template-service.ts";

describe("templateService", () => {
  it("templates of the store are found by id and by name, with their newest build", async () => {
    const clock = new VirtualClock();
    await using store = await Store.open({ path: ":memory:", clock, logger: silentLogger });
    const service = templateService(store, "0.6.13");
    assert.deepEqual(await service.list(), []);
    await assert.rejects(service.get("base"), { code: "not_found" });
    const id = await store.templates.publish(publishedTemplate());
    await clock.advance(1000);
    await store.templates.publish(publishedTemplate({ id: "b1" }));
    const view = await service.get("base");
    assert.deepEqual([view.id, view.names, view.buildId], [id, ["base"], "b1"]);
    assert.deepEqual([view.cpuCount, view.memoryMb, view.diskMb], [1, 512, 10_240]);
    assert.deepEqual(await service.get(id), view);
    assert.deepEqual(await service.list(), [view]);
  });

  it("tags lead to builds, and a template is forgotten with all of them", async () => {
    const clock = new VirtualClock();
    await using store = await Store.open({ path: ":memory:", clock, logger: silentLogger });
    const service = templateService(store, "0.6.13");
    await store.templates.publish(publishedTemplate());
    assert.equal(await service.tag("base", ["v1", "stable"]), "b0");
    await clock.advance(1000);
    await store.templates.publish(publishedTemplate({ id: "b1" }));
    assert.equal(await service.tag("base:default", ["stable"]), "b1");
    const tags = async () => (await service.tags("base")).map(({ tag, buildId }) => `${tag} ${buildId}`);
    assert.deepEqual(await tags(), ["default b1", "stable b1", "v1 b0"]);
    assert.equal((await service.get("base:v1")).buildId, "b0");
    await service.untag("base", ["v1", "none"]);
    assert.deepEqual(await tags(), ["default b1", "stable b1"]);
    await assert.rejects(service.untag("base", ["default"]), { code: "invalid" });
    await assert.rejects(service.tag("base:none", ["x"]), { code: "not_found" });
    await assert.rejects(service.tags("nope"), { code: "not_found" });
    assert.deepEqual([await service.remove("base"), await service.remove("base")], [true, false]);
    assert.deepEqual(await service.list(), []);
  });
});
