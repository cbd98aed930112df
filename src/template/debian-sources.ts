import { Failure } from "../base/failure.ts";
import type { AptSource } from "./apt-sources.ts";

/** What is known of the system before anything is downloaded. */
export interface HostSystem {
  /** /etc/os-release. */
  readonly release: Readonly<Record<string, string>>;
  /** All sources that apt is configured with. */
  readonly sources: readonly AptSource[];
  /** Debian's keyring, where it is installed. */
  readonly keyring: string | undefined;
}

/** Where Debian's packages come from, for guests and for what this system lacks. */
export interface DebianSources {
  /** The codename, such as `bookworm`. */
  readonly suite: string;
  readonly sources: readonly AptSource[];
  /** The archive that has a QEMU new enough, where the suite's own is too old. */
  readonly backports: AptSource | undefined;
}

/** What the user may say instead: `LARDER_DEBIAN_MIRROR` and `LARDER_DEBIAN_SUITE`. */
export interface DebianChoice {
  readonly mirror?: string | undefined;
  readonly suite?: string | undefined;
}

/** Suites whose QEMU is older than 8.2. */
const suitesWithOldQemu = new Set(["bookworm"]);
/** For systems that are not Debian: what guests were tried with. */
const triedSuite = "bookworm";

/**
 * Chooses the sources: those that the user names; else, on Debian, the system's own for its release, without what
 * other vendors offer. Throws `invalid` with what to do where there are none.
 */
export function debianSources(host: HostSystem, choice: DebianChoice): DebianSources {
  const isDebian = host.release["ID"] === "debian";
  const codename = isDebian ? host.release["VERSION_CODENAME"] : undefined;
  const suite = choice.suite ?? codename ?? triedSuite;
  const sources =
    choice.mirror === undefined
      ? ownSources(host, suite, isDebian)
      : [mirrorSource(host, suite, choice.mirror)];
  const main = sources.find((source) => source.suites.includes(suite)) ?? sources[0];
  if (main === undefined) {
    throw new Failure(
      "invalid",
      `apt on this system has no source of Debian ${suite}: set LARDER_DEBIAN_MIRROR to a Debian mirror`,
    );
  }
  const backports = suitesWithOldQemu.has(suite) ? { ...main, suites: [`${suite}-backports`] } : undefined;
  return { suite, sources, backports };
}

function mirrorSource(host: HostSystem, suite: string, mirror: string): AptSource {
  if (!/^(https?|file|copy):\/\S+$/.test(mirror)) {
    throw new Failure(
      "invalid",
      `LARDER_DEBIAN_MIRROR is ${mirror}, which is no http, https or file address`,
    );
  }
  return signed({ uris: [mirror], suites: [suite], components: ["main"] }, host);
}

/** The system's sources of this suite, its updates and its security fixes, of Debian's free packages only. */
function ownSources(host: HostSystem, suite: string, isDebian: boolean): AptSource[] {
  if (!isDebian) {
    throw new Failure(
      "invalid",
      "guests are made from Debian's packages, and this system is not Debian: set LARDER_DEBIAN_MIRROR to a Debian " +
        "mirror (and LARDER_DEBIAN_SUITE, if not bookworm), and install the package debian-archive-keyring",
    );
  }
  const wanted = new Set([suite, `${suite}-updates`, `${suite}-security`]);
  // A system that follows `stable` names its own release that way.
  if (suite === host.release["VERSION_CODENAME"])
    for (const alias of ["stable", "stable-updates", "stable-security"]) wanted.add(alias);
  return host.sources.flatMap((source) => {
    const suites = source.suites.filter((each) => wanted.has(each));
    if (suites.length === 0 || !source.components.includes("main")) return [];
    return [signed({ ...source, suites, components: ["main"] }, host)];
  });
}

/** Names the keyring, so that the same sources are verified in the same way inside a new root directory. */
function signed(source: AptSource, host: HostSystem): AptSource {
  if (source.signedBy !== undefined || source.trusted !== undefined || host.keyring === undefined)
    return source;
  return { ...source, signedBy: host.keyring };
}
