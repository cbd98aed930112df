import { randomUUID } from "node:crypto";
import { Failure } from "../../base/failure.ts";
import { lookAt } from "./look-at.ts";
import { putObject } from "./put-object.ts";
import type { Retries } from "./retries.ts";
import type { StoreClient } from "./store-client.ts";
import { openBody } from "./upload-body.ts";

/**
 * Finds out whether the server honours a condition before it is relied upon: one that ignores it would let two
 * stores publish one build, and overwrite each other's claim. Throws `conflict` when `key` is there, which needs no
 * condition to be found out, and `invalid` when conditions are not known.
 */
export async function proveConditions(
  client: StoreClient,
  retries: Retries,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if (await isThere(client, retries, key, signal)) throw new Failure("conflict", `${key} exists already`);
  // A key of its own, since others may be trying the same; a leftover of it harms nobody.
  const probeKey = `larder.probe-${randomUUID()}`;
  await using body = await openBody(Buffer.from("Two puts of this show whether conditions are honoured.\n"));
  const probe = { key: probeKey, body, partBytes: body.bytes };
  await putObject(client, retries, { ...probe, onlyIfAbsent: false }, signal);
  const outcome = await putObject(client, retries, { ...probe, onlyIfAbsent: true }, signal).then(
    () => "ignored" as const,
    (error: unknown) => error,
  );
  if (Failure.is(outcome, "conflict")) {
    const operation = {
      method: "DELETE",
      what: `delete ${probeKey}`,
      key: probeKey,
      accepts: [404],
    } as const;
    await client.send(operation, signal).then((response) => response[Symbol.dispose]());
    return;
  }
  if (outcome !== "ignored" && !Failure.is(outcome, "invalid")) throw outcome;
  throw new Failure(
    "invalid",
    `the server of this bucket does not honour ${client.dialect.ifAbsent.join(": ")}: it cannot keep two stores ` +
      "from publishing the same build; use one that does",
  );
}

async function isThere(
  client: StoreClient,
  retries: Retries,
  key: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await retries.run(() => lookAt(client, key, signal), signal);
    return true;
  } catch (error) {
    if (Failure.is(error, "not_found")) return false;
    throw error;
  }
}
