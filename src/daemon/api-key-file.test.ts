import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { systemRandom } from "../base/random.ts";
import { apiKeyFile, readApiKey, readOrMakeApiKey } from "./api-key-file.ts";

describe("the API key of the local command line", () => {
  let data: string;
  before(async () => {
    data = await mkdtemp(path.join(tmpdir(), "larder-key-"));
  });
  after(() => rm(data, { recursive: true }));

  it("is made once, for its owner's eyes only", async () => {
    assert.equal(await readApiKey(data), undefined);
    const key = await readOrMakeApiKey(data, systemRandom);
    assert.match(key, /^e2b_[0-9a-f]{40}$/);
    assert.equal(await readOrMakeApiKey(data, systemRandom), key);
    assert.equal(await readFile(apiKeyFile(data), "utf8"), `${key}\n`);
    assert.equal((await stat(apiKeyFile(data))).mode & 0o777, 0o600);
  });

  it("is never replaced when the file holds something else", async () => {
    await writeFile(apiKeyFile(data), "precious");
    await assert.rejects(readOrMakeApiKey(data, systemRandom), { code: "corrupt" });
    assert.equal(await readFile(apiKeyFile(data), "utf8"), "precious");
  });
});
