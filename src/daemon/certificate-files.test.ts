import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { otherCertificate, testCertificate } from "../api/testing/test-certificate.ts";
import { silentLogger } from "../base/logger.ts";
import { VirtualClock } from "../base/testing/virtual-clock.ts";
import { CertificateFiles } from "./certificate-files.ts";

describe("a certificate in files", () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), "larder-certificate-"));
  });
  after(() => rm(directory, { recursive: true }));

  async function write({ cert, key }: { cert: Buffer | string; key: Buffer }): Promise<void> {
    await writeFile(path.join(directory, "cert.pem"), cert);
    await writeFile(path.join(directory, "key.pem"), key);
  }

  function options(clock: VirtualClock) {
    const paths = { certPath: path.join(directory, "cert.pem"), keyPath: path.join(directory, "key.pem") };
    return { ...paths, clock, logger: silentLogger };
  }

  /** The next look begins when the last one has ended. */
  async function look(clock: VirtualClock): Promise<void> {
    await clock.advance(60_000);
    while (clock.pending === 0) await new Promise(setImmediate);
  }

  it("is noticed when it was renewed, and not before it fits its key", async () => {
    const clock = new VirtualClock();
    await write(testCertificate);
    using files = await CertificateFiles.open(options(clock));
    let renewals = 0;
    using _listener = files.onRenewal(() => renewals++);
    await look(clock);
    assert.equal(renewals, 0);
    for (const half of [
      { ...testCertificate, key: otherCertificate.key },
      { ...testCertificate, cert: "" },
    ]) {
      await write(half);
      await look(clock);
      assert.deepEqual([renewals, files.current], [0, testCertificate]);
    }
    await rm(path.join(directory, "key.pem"));
    await look(clock);
    await write(otherCertificate);
    await look(clock);
    assert.deepEqual([renewals, files.current], [1, otherCertificate]);
  });

  it("that is not there or is none is refused by the name of its setting", async () => {
    const clock = new VirtualClock();
    const none = CertificateFiles.open({ ...options(clock), certPath: path.join(directory, "none") });
    await assert.rejects(none, { code: "invalid", message: /^LARDER_TLS_CERT: .* cannot be read$/ });
    await write({ ...testCertificate, key: otherCertificate.key });
    await assert.rejects(CertificateFiles.open(options(clock)), {
      code: "invalid",
      message: /LARDER_TLS_KEY/,
    });
    assert.equal(clock.pending, 0);
  });
});
