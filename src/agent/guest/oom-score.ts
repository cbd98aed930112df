import { openSync, writeSync } from "node:fs";
import type { AsUser } from "./credentials.ts";

// Of proc(5), oom_score_adj: never to be chosen, and rather to be chosen than others.
const agentScore = "-1000";
const usersScore = "100";

/**
 * When memory runs out, the kernel shall end what users started, not the agent. A score is inherited, so the agent
 * bears the users' for the moment in which it starts a process of theirs.
 */
export function spareAgent(asUser: AsUser): AsUser {
  const score = openSync("/proc/self/oom_score_adj", "w");
  writeSync(score, agentScore);
  return (ids, action) => {
    writeSync(score, usersScore);
    try {
      return asUser(ids, action);
    } finally {
      writeSync(score, agentScore);
    }
  };
}
