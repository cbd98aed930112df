import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { moduleDependencies, resolveModules } from "./kernel-modules.ts";
import { elfModule } from "./testing/elf-module.ts";

function kernel(modules: Record<string, string>, builtin: string[] = []) {
  const read = async (name: string) => {
    const depends = modules[name];
    return depends === undefined
      ? undefined
      : elfModule(["license=GPL", `depends=${depends}`, `name=${name}`]);
  };
  return { builtin: new Set(builtin), read };
}

describe("resolveModules", () => {
  it("puts everything after what it depends on, and each module once", async () => {
    const modules = { a: "b,c", b: "d", c: "d", d: "", e: "a" };
    const ordered = (await resolveModules(["a", "e", "c"], kernel(modules))).map(({ name }) => name);
    assert.deepEqual(ordered, ["d", "b", "c", "a", "e"]);
  });

  it("leaves out what is part of the kernel, and takes - for _", async () => {
    const ordered = await resolveModules(
      ["virtio-rng", "ext4"],
      kernel({ virtio_rng: "rng-core" }, ["ext4", "rng_core"]),
    );
    assert.deepEqual(
      ordered.map(({ name }) => name),
      ["virtio_rng"],
    );
  });

  it("throws `not_found`, naming it, for a module that is nowhere", async () => {
    await assert.rejects(
      resolveModules(["a"], kernel({ a: "lost" })),
      (error) => Failure.is(error, "not_found") && /lost/.test(error.message),
    );
  });

  it("ends when modules depend on each other", async () => {
    assert.equal((await resolveModules(["a"], kernel({ a: "b", b: "a" }))).length, 2);
  });
});

describe("moduleDependencies", () => {
  it("reads nothing from what is no ELF file or is cut short", () => {
    const whole = elfModule(["depends=x"]);
    assert.deepEqual(moduleDependencies(whole), ["x"]);
    for (let bytes = 0; bytes < whole.length; bytes++)
      assert.deepEqual(moduleDependencies(whole.subarray(0, bytes)), []);
    assert.deepEqual(moduleDependencies(Buffer.from("depends=x\0")), []);
  });
});
