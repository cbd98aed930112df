import { AgentClient } from "../agent/agent-client.ts";
import type { AgentChannel } from "../agent/channel.ts";
import { Failure } from "../base/failure.ts";
import type { GuestChannel } from "../sandbox/launcher.ts";

/** Has a guest do what every sandbox will be asked for first: a login shell, and the interpreter. */
export async function proveGuest(channel: GuestChannel, signal: AbortSignal): Promise<void> {
  // What a launcher hands out is a channel; the client asks it for nothing but requests.
  const agent = new AgentClient(channel as AgentChannel);
  const { exitCode, stdout, stderr } = await agent.run('python3 -c "print(6*7)"', {}, signal);
  if (exitCode === 0 && stdout === "42\n") return;
  const said = `${stdout}${stderr}`.trim().slice(0, 200);
  throw new Failure(
    "unavailable",
    `a guest of the new template does not work: exit code ${exitCode}, ${said}`,
  );
}
