/** Root's programs are not on every user's PATH; messages are to be the same everywhere. */
export const toolEnvironment = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C",
};

/** A command for another user, without root's rights; where the daemon is not root it runs as the daemon's own. */
export function asUser(uid: number | undefined, command: readonly string[]): [string, string[]] {
  const [program = "", ...args] = command;
  if (uid === undefined) return [program, args];
  const user = String(uid);
  return ["setpriv", ["--reuid", user, "--regid", user, "--clear-groups", "--", ...command]];
}
