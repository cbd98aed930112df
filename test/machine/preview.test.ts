import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { type Served, serve } from "./testing/served.ts";

describe("the preview of a port of a real machine", () => {
  let served: Served;
  before(async () => {
    served = await serve();
  });
  after(() => served[Symbol.asyncDispose]());

  it("reaches a server while it starts, by name, and a private one with its token only", async () => {
    const network = { allowPublicTraffic: false, maskRequestHost: "localhost:${PORT}" };
    const sandbox = await Sandbox.create({ ...served.sdk, network });
    const token = sandbox.trafficAccessToken ?? "";
    await sandbox.files.write("/home/user/site/index.html", "served from inside");
    await sandbox.commands.run("cd site && exec python3 -m http.server 3000", { background: true });
    const host = `3000-${sandbox.sandboxId}.localhost`;
    assert.equal((await ask(served, { host })).status, 403);
    // Under emulation a server takes longer to start than one request waits for it.
    let answer = await ask(served, { host, "e2b-traffic-access-token": token });
    for (let tries = 0; answer.status === 502 && tries < 20; tries++)
      answer = await ask(served, { host, "e2b-traffic-access-token": token });
    assert.deepEqual(answer, { status: 200, body: "served from inside" });
    const closed = await ask(served, {
      host: host.replace("3000", "3001"),
      "e2b-traffic-access-token": token,
    });
    assert.equal(closed.status, 502);
    assert.equal(JSON.parse(closed.body).message, "The sandbox is running but port is not open");
    const [metrics] = await sandbox.getMetrics();
    assert.ok((metrics?.memTotal ?? 0) > 100 * 2 ** 20);
    await sandbox.kill();
    assert.equal(JSON.parse((await ask(served, { host })).body).message, "The sandbox was not found");
  });
});

async function ask({ url }: Served, headers: Record<string, string>) {
  const outgoing = request(url, { headers, agent: false });
  outgoing.end();
  const [answer] = (await once(outgoing, "response")) as [IncomingMessage];
  return { status: answer.statusCode, body: await text(answer) };
}
