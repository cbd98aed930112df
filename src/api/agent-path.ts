/**
 * What of the agent may be reached from outside. Its control routes (`/init` and kin: token, clock, environment) are
 * the daemon's alone; a route that is not on this list does not exist for clients.
 */
const publicPaths = [
  /^\/health$/,
  /^\/metrics$/,
  /^\/envs$/,
  /^\/files$/,
  /^\/files\/compose$/,
  /^\/process\.Process\/[A-Za-z]+$/,
  /^\/filesystem\.Filesystem\/[A-Za-z]+$/,
];

/** True when clients may ask the agent for this request target; only the plain spelling of a path counts. */
export function isPublicAgentPath(target: string): boolean {
  const path = target.split("?", 1)[0] ?? "";
  return publicPaths.some((pattern) => pattern.test(path));
}
