import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { unitFor } from "./service.ts";

describe("the unit of the service", () => {
  it("starts the daemon with the settings of the moment, quoted as systemd reads them", () => {
    const env = { HOME: "/root", LARDER_DATA: '/srv/a "b" $c 100%', LARDER_PORT: "", PATH: "/bin" };
    const lines = unitFor(env, { wantedBy: "default.target" }).split("\n");
    assert.ok(lines.includes('Environment="LARDER_DATA=/srv/a \\"b\\" $c 100%%"'));
    assert.ok(lines.includes('Environment="HOME=/root"'));
    assert.ok(!lines.some((line) => line.includes("LARDER_PORT") || line.includes("PATH=/bin")));
    assert.ok(lines.some((line) => /^ExecStart=".*node" ".*\/bin\/larder\.mjs" "serve"$/.test(line)));
    assert.ok(lines.includes("WantedBy=default.target"));
  });
});
