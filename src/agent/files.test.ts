import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { FileType } from "./protocol/generated/filesystem_pb.js";
import { AgentFixture } from "./testing/agent-fixture.ts";

const withCode = (code: Code) => (error: unknown) => error instanceof ConnectError && error.code === code;
const octets = { "content-type": "application/octet-stream" };

let agent: AgentFixture;
let directory: string;
before(async () => (agent = await AgentFixture.start()));
after(async () => await agent[Symbol.asyncDispose]());
beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), "larder-files-"))));
afterEach(async () => await rm(directory, { recursive: true }));

const at = (...parts: string[]) => join(directory, ...parts);

describe("filesystem.Filesystem", () => {
  it("describes a file, a directory and links as clients expect it", async () => {
    await writeFile(at("file"), "12345", { mode: 0o640 });
    await chmod(at("file"), 0o640);
    await symlink("file", at("link"));
    await symlink("nothing", at("broken"));
    const stat = async (name: string) => (await agent.files.stat({ path: at(name) })).entry;
    const { username } = userInfo();
    const file = await stat("file");
    assert.deepEqual(
      [file?.name, file?.type, file?.path, file?.size, file?.mode, file?.permissions, file?.owner],
      ["file", FileType.FILE, at("file"), 5n, 0o640, "-rw-r-----", username],
    );
    const link = await stat("link");
    assert.deepEqual([link?.type, link?.mode, link?.symlinkTarget], [FileType.FILE, 0o640, at("file")]);
    assert.match(link?.permissions ?? "", /^L/);
    const broken = await stat("broken");
    assert.deepEqual([broken?.type, broken?.symlinkTarget], [FileType.SYMLINK, at("nothing")]);
    assert.equal((await agent.files.stat({ path: "/tmp" })).entry?.permissions, "dtrwxrwxrwx");
  });

  it("lists as deep as asked for, each directory before what is in it, by name", async () => {
    await mkdir(at("b/c"), { recursive: true });
    for (const name of ["a", "b/x", "b/c/y", "z"]) await writeFile(at(name), "");
    await symlink("b", at("into-b"));
    const list = async (depth: number) =>
      (await agent.files.listDir({ path: directory, depth })).entries.map(({ path }) =>
        path.slice(directory.length + 1),
      );
    assert.deepEqual(await list(0), ["a", "b", "into-b", "z"]);
    assert.deepEqual(await list(2), ["a", "b", "b/c", "b/x", "into-b", "z"]);
    assert.deepEqual(await list(9), ["a", "b", "b/c", "b/c/y", "b/x", "into-b", "z"]);
    await assert.rejects(agent.files.listDir({ path: at("a") }), withCode(Code.InvalidArgument));
    await assert.rejects(agent.files.listDir({ path: at("none") }), withCode(Code.NotFound));
  });

  it("makes directories once, and never over a file", async () => {
    await agent.files.makeDir({ path: at("p/q") });
    await assert.rejects(agent.files.makeDir({ path: at("p/q") }), withCode(Code.AlreadyExists));
    await writeFile(at("file"), "");
    for (const path of ["file", "file/below"]) {
      await assert.rejects(agent.files.makeDir({ path: at(path) }), withCode(Code.InvalidArgument), path);
    }
  });

  it("moves into directories that are not there yet, and removes without asking whether it was there", async () => {
    await writeFile(at("one"), "kept");
    const { entry } = await agent.files.move({ source: at("one"), destination: at("new/two") });
    assert.equal(entry?.path, at("new/two"));
    assert.equal(await readFile(at("new/two"), "utf8"), "kept");
    await assert.rejects(
      agent.files.move({ source: at("one"), destination: at("x") }),
      withCode(Code.NotFound),
    );
    for (let turn = 0; turn < 2; turn++) await agent.files.remove({ path: at("new") });
    await assert.rejects(agent.files.stat({ path: at("new") }), withCode(Code.NotFound));
    await assert.rejects(agent.files.stat({ path: "/etc/passwd/x" }), withCode(Code.NotFound));
  });
});

describe("/files", () => {
  const url = (path: string) => `/files?path=${encodeURIComponent(path)}`;
  const post = async (target: string, headers: Record<string, string>, body: Buffer) => {
    const answer = await agent.ask({ method: "POST", path: target, headers, body });
    return { status: answer.status, said: JSON.parse(answer.body.toString()) as unknown };
  };
  const multipart = (...parts: { head: string; body: Buffer | string }[]) => {
    const pieces = parts.flatMap(({ head, body }) => [`--x\r\n${head}\r\n\r\n`, body, "\r\n"]);
    return Buffer.concat([...pieces, "--x--\r\n"].map((piece) => Buffer.from(piece)));
  };
  const form = { "content-type": "multipart/form-data; boundary=x" };
  const disposition = (filename?: string) =>
    `Content-Disposition: form-data; name="file"${filename === undefined ? "" : `; filename="${filename}"`}`;

  it("keeps and returns every byte of a raw body, in directories made for it", async () => {
    const bytes = randomBytes(3_000_000);
    const { status, said } = await post(url(at("a/b/c.bin")), octets, bytes);
    assert.deepEqual([status, said], [200, [{ path: at("a/b/c.bin"), name: "c.bin", type: "file" }]]);
    assert.ok((await agent.ask({ path: url(at("a/b/c.bin")) })).body.equals(bytes));
    await post(url(at("a/b/c.bin")), octets, Buffer.from("short"));
    assert.equal(await readFile(at("a/b/c.bin"), "utf8"), "short");
  });

  it("takes many files of a form in their order, with slashes and any letters in their names", async () => {
    const names = ["z/1.txt", "a/ünï 2.txt", "3.txt"];
    const parts = names.map((name, i) => ({ head: disposition(at(name)), body: Buffer.alloc(90_000, i) }));
    const other = { head: 'Content-Disposition: form-data; name="other"', body: "passed over" };
    const { status, said } = await post("/files", form, multipart(other, ...parts));
    assert.equal(status, 200);
    assert.deepEqual(
      (said as { path: string }[]).map(({ path }) => path),
      names.map((name) => at(name)),
    );
    for (const [i, name] of names.entries()) {
      assert.ok((await readFile(at(name))).equals(Buffer.alloc(90_000, i)), name);
    }
  });

  it("takes a part without a file name when the query says where it goes, byte by byte", async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const { status } = await post(url(at("plain")), form, multipart({ head: disposition(), body: bytes }));
    assert.equal(status, 200);
    assert.ok((await readFile(at("plain"))).equals(bytes));
    assert.equal((await post("/files", form, multipart({ head: disposition(), body: "x" }))).status, 400);
  });

  it("unpacks what comes packed and packs for those who take it", async () => {
    const text = Buffer.from("again and again ".repeat(5000));
    await post(url(at("t")), { ...octets, "content-encoding": "gzip" }, gzipSync(text));
    assert.ok((await readFile(at("t"))).equals(text));
    const packed = await agent.ask({ path: url(at("t")), headers: { "accept-encoding": "gzip" } });
    assert.equal(packed.headers["content-encoding"], "gzip");
    assert.ok(gunzipSync(packed.body).equals(text));
    const broken = await post(
      url(at("u")),
      { ...octets, "content-encoding": "gzip" },
      Buffer.from("no gzip"),
    );
    assert.equal(broken.status, 400);
  });

  it("sends the range that is asked for, and an empty file with its length", async () => {
    await writeFile(at("r"), "0123456789");
    await writeFile(at("empty"), "");
    const range = async (range: string) => {
      const { status, headers, body } = await agent.ask({ path: url(at("r")), headers: { range } });
      return [status, headers["content-range"], body.toString()];
    };
    assert.deepEqual(await range("bytes=2-4"), [206, "bytes 2-4/10", "234"]);
    assert.deepEqual(await range("bytes=-3"), [206, "bytes 7-9/10", "789"]);
    assert.deepEqual(await range("bytes=8-99"), [206, "bytes 8-9/10", "89"]);
    assert.deepEqual(await range("bytes=10-"), [416, "bytes */10", ""]);
    const empty = await agent.ask({ path: url(at("empty")), headers: { "accept-encoding": "gzip" } });
    assert.deepEqual([empty.status, empty.headers["content-length"]], [200, "0"]);
  });

  it("keeps what a client says about a file until the next upload", async () => {
    const { said } = await post(url(at("m")), { ...octets, "x-metadata-Author": "ada" }, Buffer.from("x"));
    assert.deepEqual(said, [{ path: at("m"), name: "m", type: "file", metadata: { author: "ada" } }]);
    const metadata = async () => (await agent.files.stat({ path: at("m") })).entry?.metadata;
    assert.deepEqual(await metadata(), { author: "ada" });
    await post(url(at("m")), octets, Buffer.from("y"));
    assert.deepEqual(await metadata(), {});
  });

  it("says when the disk is full", async () => {
    const { status, said } = await post(url("/dev/full"), octets, Buffer.from("x"));
    assert.deepEqual([status, (said as { code: number }).code], [507, 507]);
  });

  it("makes one file of several, which are gone then", async () => {
    for (const name of ["1", "2"]) await writeFile(at(name), name.repeat(300_000));
    const json = { "content-type": "application/json" };
    const ask = (body: object) => post("/files/compose", json, Buffer.from(JSON.stringify(body)));
    const destination = at("new/whole");
    const { status, said } = await ask({ source_paths: [at("1"), at("2"), at("1")], destination });
    assert.deepEqual([status, said], [200, { path: destination, name: "whole", type: "file" }]);
    const whole = "1".repeat(300_000) + "2".repeat(300_000) + "1".repeat(300_000);
    assert.equal(await readFile(destination, "utf8"), whole);
    assert.deepEqual(await readdir(directory), ["new"]);
    assert.equal((await ask({ source_paths: [destination, at("none")], destination })).status, 404);
    assert.equal(await readFile(destination, "utf8"), whole, "a failure changes nothing");
    assert.deepEqual(await readdir(at("new")), ["whole"]);
    for (const source_paths of [[], "x", [3], [directory]]) {
      assert.equal((await ask({ source_paths, destination })).status, 400);
    }
    assert.equal((await ask({ source_paths: [destination] })).status, 400);
    assert.equal((await ask({ source_paths: [destination], destination, username: "who" })).status, 401);
  });

  it("reads what lies about its size, as the files of /proc and /sys do", async () => {
    const files = ["/proc/version", "/proc/kallsyms", "/sys/kernel/fscaps"];
    for (const path of files) {
      const bytes = await readFile(path);
      assert.ok(bytes.length !== (await stat(path)).size);
      const { status, headers, body } = await agent.ask({ path: url(path) });
      assert.deepEqual([status, body.equals(bytes)], [200, true], path);
      assert.equal(headers["content-length"], bytes.length > 65_536 ? undefined : String(bytes.length));
      const packed = await agent.ask({ path: url(path), headers: { "accept-encoding": "gzip" } });
      assert.ok(gunzipSync(packed.body).equals(bytes), path);
    }
    for (const bytes of [65_535, 65_536, 65_537]) {
      await writeFile(at("edge"), Buffer.alloc(bytes, "larder"));
      const { headers, body } = await agent.ask({ path: url(at("edge")) });
      assert.deepEqual([headers["content-length"], body.length], [String(bytes), bytes]);
    }
  });

  it("says with a status what is wrong with a request", async () => {
    await writeFile(at("file"), "");
    const get = async (path: string) => (await agent.ask({ path })).status;
    assert.equal(await get(url(directory)), 400);
    assert.equal(await get(url(at("none"))), 404);
    assert.equal(await get("/files?path=x&username=nobody-like-this"), 401);
    assert.equal(await get(url("/dev/zero")), 400);
    assert.equal((await post(url(directory), octets, Buffer.from("x"))).status, 400);
    assert.equal((await post(url(at("file/below")), octets, Buffer.from("x"))).status, 400);
    assert.equal((await post("/files", octets, Buffer.from("x"))).status, 400);
    assert.equal((await post(url(at("x")), { "content-type": "text/plain" }, Buffer.from("x"))).status, 400);
    assert.equal((await post(url(at("x")), form, Buffer.from("no form"))).status, 400);
  });
});
