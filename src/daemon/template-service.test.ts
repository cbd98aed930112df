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
    const service = templateService(store.templates, "0.6.13");
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
});
