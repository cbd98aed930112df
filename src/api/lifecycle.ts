import { Failure } from "../base/failure.ts";
import type { Lifecycle } from "../store/sandbox-records.ts";
import type { CreateBody } from "./sandbox-bodies.ts";

/** What a create says about the end of a sandbox's time. Throws `invalid` for what contradicts itself. */
export function lifecycleOf(
  body: Pick<CreateBody, "autoPause" | "autoPauseMemory" | "autoResume">,
): Lifecycle {
  const pauses = body.autoPause === true;
  const keepMemory = body.autoPauseMemory !== false;
  const autoResume = body.autoResume?.enabled === true;
  if (!keepMemory && !pauses)
    throw new Failure("invalid", "field 'autoPauseMemory': false says something only with autoPause");
  if (!keepMemory && autoResume)
    throw new Failure("invalid", "field 'autoResume': a sandbox without memory is not resumed by traffic");
  if (autoResume && !pauses)
    throw new Failure("invalid", "field 'autoResume' says something only with autoPause");
  return { onTimeout: pauses ? "pause" : "kill", keepMemory, autoResume };
}
