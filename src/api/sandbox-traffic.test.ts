import assert from "node:assert/strict";
import { once } from "node:events";
import { buffer, text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { assertNothingLeft, takeCensus } from "../base/testing/census.ts";
import { settled, VirtualClock } from "../base/testing/virtual-clock.ts";
import { recentMsMax } from "./recent-work.ts";
import { apiWith, exchange, GuestServer } from "./testing/guest-server.ts";

describe("traffic to a sandbox's agent", () => {
  it("requests and answers pass as they are, but for what belongs to the connection", async () => {
    await using guest = await GuestServer.listen((request, response) => {
      void text(request).then((body) => {
        response.writeHead(207, { "x-a": ["1", "2"], "content-type": "application/x" });
        response.end(
          JSON.stringify({ url: request.url, method: request.method, body, headers: request.headers }),
        );
      });
    });
    await using api = await apiWith(guest);
    const headers = { "x-access-token": "t", authorization: "Basic dXNlcjo=", "x-api-key": "e2b_00" };
    const answer = await exchange(api, {
      method: "POST",
      path: "/files?path=%2Fa%20b",
      headers,
      body: "content",
    });
    assert.equal(answer.statusCode, 207);
    assert.equal(answer.headers["x-a"], "1, 2");
    const seen = JSON.parse(await text(answer));
    assert.deepEqual([seen.method, seen.url, seen.body], ["POST", "/files?path=%2Fa%20b", "content"]);
    assert.equal(seen.headers["x-access-token"], "t");
    assert.equal(seen.headers["authorization"], "Basic dXNlcjo=");
    assert.equal(seen.headers["x-api-key"], undefined);
  });

  it("control routes are not reachable from outside", async () => {
    let asked = 0;
    await using guest = await GuestServer.listen((_request, response) => {
      asked++;
      response.end();
    });
    await using api = await apiWith(guest);
    for (const path of ["/init", "//init", "/%69nit", "/freeze"]) {
      const answer = await exchange(api, { method: "POST", path, body: "{}" });
      assert.equal(answer.statusCode, 404, path);
      assert.equal(JSON.parse(await text(answer)).code, 404);
    }
    assert.equal(asked, 0);
  });

  it("a large upload and a large download pass whole", async () => {
    await using guest = await GuestServer.listen((request, response) => void request.pipe(response));
    await using api = await apiWith(guest);
    const body = Buffer.alloc(8 * 1024 * 1024, "larder");
    const answer = await exchange(api, { method: "POST", path: "/files", body });
    assert.ok((await buffer(answer)).equals(body));
  });

  it("an answer whose reader is slow is not gathered in the daemon", async () => {
    let written = 0;
    await using guest = await GuestServer.listen((_request, response) => {
      const piece = Buffer.alloc(64 * 1024);
      const more = () => {
        while (written < 512 && response.write(piece)) written++;
      };
      response.on("drain", more);
      more();
    });
    await using api = await apiWith(guest);
    const answer = await exchange(api, { path: "/files" });
    for (let before = -1; before !== written; ) {
      before = written;
      for (let turn = 0; turn < 200; turn++) await settled();
    }
    assert.ok(written < 400, `${written * 64} KiB were taken from the guest though nobody reads`);
    answer.destroy();
  });

  it("a client that hangs up ends the request in the guest", async () => {
    const closed = Promise.withResolvers<void>();
    await using guest = await GuestServer.listen((_request, response) => {
      response.once("close", closed.resolve);
      response.write("first");
    });
    await using api = await apiWith(guest);
    const answer = await exchange(api, { path: "/files" });
    await once(answer, "data");
    answer.destroy();
    await closed.promise;
  });

  it("an answer that breaks in the middle cuts the client's connection", async () => {
    await using guest = await GuestServer.listen((_request, response) => {
      response.write("first", () => response.destroy());
    });
    await using api = await apiWith(guest);
    const answer = await exchange(api, { path: "/files" });
    await assert.rejects(text(answer), { code: "ECONNRESET" });
  });

  it("an upload that is refused early gets its answer, and the connection lives on", async () => {
    await using guest = await GuestServer.listen((_request, response) => {
      response.writeHead(401).end('{"code":401,"message":"no"}');
    });
    await using api = await apiWith(guest);
    const answer = await exchange(api, {
      method: "POST",
      path: "/files",
      body: Buffer.alloc(4 * 1024 * 1024),
    });
    assert.equal(answer.statusCode, 401);
    assert.equal(await text(answer), '{"code":401,"message":"no"}');
  });

  it("a sandbox that is not there, or whose channel fails, is answered with what clients compare", async () => {
    await using guest = await GuestServer.listen((_request, response) => void response.end());
    await using api = await apiWith(guest);
    const gone = { sandboxId: "inone", message: "The sandbox was not found", code: 502 };
    const answer = await exchange(api, { path: "/health", headers: { "e2b-sandbox-id": "inone" } });
    assert.equal(answer.statusCode, 502);
    assert.deepEqual(JSON.parse(await text(answer)), gone);
    api.channel.failure = new Failure("unavailable", "the channel broke");
    const broken = await exchange(api, { path: "/health" });
    assert.equal(broken.statusCode, 502);
    assert.deepEqual(JSON.parse(await text(broken)), { ...gone, sandboxId: "i0001" });
    api.channel.failure = new Failure("exhausted", "too many streams");
    const busy = await exchange(api, { path: "/health" });
    assert.deepEqual([busy.statusCode, busy.headers["retry-after"]], [429, "2"]);
    await text(busy);
  });
});

describe("traffic to a port in a sandbox", () => {
  it("a server in the guest sees the request as the client sent it, capitals included", async () => {
    let raw: string[] = [];
    await using guest = await GuestServer.listen((request, response) => {
      raw = request.rawHeaders;
      void text(request).then((body) =>
        response.writeHead(201, { "X-Reply": "yes" }).end(`${request.method} ${body}`),
      );
    });
    await using api = await apiWith(guest);
    api.channel.ports.set(3000, guest.port);
    const headers = { Host: "3000-i0001.localhost", "X-Custom-Name": "v", "X-Api-Key": "the guest's own" };
    const answer = await exchange(api, { method: "PUT", path: "/x", headers, body: "hello", bare: true });
    assert.deepEqual(
      [answer.statusCode, answer.headers["x-reply"], await text(answer)],
      [201, "yes", "PUT hello"],
    );
    for (const [name, value] of Object.entries(headers)) {
      assert.equal(raw[raw.indexOf(name) + 1], value, name);
    }
    assert.ok(raw.includes("X-Custom-Name"));
  });

  it("a server that is not listening yet is tried again for three seconds", async () => {
    const clock = new VirtualClock();
    await using guest = await GuestServer.listen((_request, response) => void response.end("up"));
    await using api = await apiWith(guest, clock);
    const headers = { "e2b-sandbox-port": "3000" };
    const answer = exchange(api, { path: "/", headers });
    while (api.channel.attempts < 3) await advance(clock, 100);
    api.channel.ports.set(3000, guest.port);
    while (api.channel.attempts < 4) await advance(clock, 100);
    assert.equal(await text(await answer), "up");
  });

  it("a port that stays closed is answered with what clients compare, after seven attempts", async () => {
    const clock = new VirtualClock();
    await using guest = await GuestServer.listen((_request, response) => void response.end());
    await using api = await apiWith(guest, clock);
    const asked = exchange(api, { path: "/", headers: { "e2b-sandbox-port": "3000" } });
    while (api.channel.attempts < 7) await advance(clock, 100);
    const answered = await asked;
    assert.equal(answered.statusCode, 502);
    const message = "The sandbox is running but port is not open";
    assert.deepEqual(JSON.parse(await text(answered)), {
      message,
      sandboxId: "i0001",
      port: 3000,
      code: 502,
    });
    assert.equal(api.channel.attempts, 7);
  });

  it("a closed port of a guest in which nothing was done lately is told of at once", async () => {
    const clock = new VirtualClock();
    await using guest = await GuestServer.listen((_request, response) => void response.end());
    await using api = await apiWith(guest, clock);
    const ask = async () => {
      const answer = await exchange(api, { path: "/", headers: { "e2b-sandbox-port": "3000" } });
      await text(answer);
      return answer.statusCode;
    };
    const inVain = async () => {
      const before = api.channel.attempts;
      const asked = ask();
      while (api.channel.attempts < before + 7) await advance(clock, 100);
      assert.equal(await asked, 502);
    };
    await inVain(); // a guest that is new may be starting
    await clock.advance(recentMsMax);
    assert.deepEqual([await ask(), api.channel.attempts], [502, 8]);
    await startSomething(api);
    await inVain();
    await clock.advance(recentMsMax);
    assert.deepEqual([await ask(), api.channel.attempts], [502, 16]);
  });

  it("nothing is left of an exchange, whether it ended or was cut", async () => {
    const before = takeCensus();
    {
      await using guest = await GuestServer.listen((request, response) => {
        if (request.url === "/whole") response.end("whole");
        else response.write("part");
      });
      await using api = await apiWith(guest);
      api.channel.ports.set(3000, guest.port);
      const headers = { "e2b-sandbox-port": "3000" };
      await text(await exchange(api, { path: "/whole", headers }));
      const cut = await exchange(api, { path: "/part", headers });
      await once(cut, "data");
      cut.destroy();
    }
    await assertNothingLeft(before);
  });
});

async function startSomething(api: Awaited<ReturnType<typeof apiWith>>): Promise<void> {
  await text(await exchange(api, { method: "POST", path: "/process.Process/Start", body: "{}" }));
}

async function advance(clock: VirtualClock, ms: number): Promise<void> {
  await settled();
  await clock.advance(ms);
}
