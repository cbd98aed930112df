import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { deviceOfMount } from "./mount-table.ts";

const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
42 22 0:39 / /run/larder/a/mem-x/memfile ro,nosuid - fuse larder ro,user_id=0
43 22 0:300 / /run/lar\\040der/memfile ro - fuse larder ro
44 22 0:41 / /run/larder/a/mem-x/memfile ro,nosuid - fuse larder ro,user_id=0
`;

describe("deviceOfMount", () => {
  it("finds the device that was mounted last, as the numbers of files tell it", () => {
    assert.equal(deviceOfMount(table, "/run/larder/a/mem-x/memfile"), 41);
    assert.equal(deviceOfMount(table, "/run/lar der/memfile"), (300 & 0xff) + (1 << 20));
    assert.equal(deviceOfMount(table, "/"), 254 * 256);
    assert.equal(deviceOfMount(table, "/run/larder/a/mem-y/memfile"), undefined);
  });
});
