/**
 * What `drbdadm -d up all` of 8.4 would run, as data.
 *
 * @module
 */

import type { MetaDisk } from "@kedge/schema/drbd-conf";

/** Options of a command by name. */
export type Options = Readonly<Record<string, string>>;

/** `drbdsetup attach`. */
export interface Attach {
  /** Data disk. */
  readonly disk: string;
  /** Metadata. */
  readonly metaDisk: MetaDisk;
  /** `--NAME=VALUE`. */
  readonly options: Options;
}

/** `drbdsetup connect`. */
export interface Connect {
  /** Address of this host. */
  readonly local: string;
  /** Address of the peer; `N/A` if there is none. */
  readonly remote: string;
  /** `--NAME=VALUE`. */
  readonly options: Options;
}

/** Everything that would be run for one resource. */
export interface UpResource {
  /** Options of `new-resource`. */
  options: Options;
  /** Minor by volume. */
  readonly minors: Map<number, number>;
  /** Connections. */
  readonly connects: Connect[];
}

/** Everything that would be run. */
export interface Up {
  /** By name. */
  readonly resources: Map<string, UpResource>;
  /** By minor. */
  readonly attaches: Map<number, Attach>;
}

/** Reads the commands. */
export function readUp(text: string): Up {
  const up: Up = { resources: new Map(), attaches: new Map() };
  for (const line of text.split("\n")) {
    const { args, options } = readCommand(line);
    take(up, args, options);
  }
  return up;
}

/** Words of a `drbdsetup` command, and its options; none of other commands. */
export function readCommand(
  line: string,
): { readonly args: readonly string[]; readonly options: Options } {
  // Brackets are escaped for a shell.
  const [program = "", ...words] = line.replaceAll(/\\(.)/g, "$1").split(" ");
  if (!program.includes("drbdsetup")) return { args: [], options: {} };
  const options = words.filter((word) => word.startsWith("--")).map((word) => {
    const [name = "", ...value] = word.slice(2).split("=");
    return [name, value.join("=")];
  });
  return {
    args: words.filter((word) => !word.startsWith("--")),
    options: Object.fromEntries(options),
  };
}

function take(up: Up, args: readonly string[], options: Options): void {
  const [command, first = "", second = "", third = "", fourth = ""] = args;
  if (command === "new-resource") {
    up.resources.set(first, { options, minors: new Map(), connects: [] });
  } else if (command === "new-minor") {
    up.resources.get(first)?.minors.set(Number(third), Number(second));
  } else if (command === "attach") {
    const metaDisk = readMeta(third, fourth);
    up.attaches.set(Number(first), { disk: second, metaDisk, options });
  } else if (command === "connect") {
    const connect = { local: second, remote: third, options };
    up.resources.get(first)?.connects.push(connect);
  }
}

function readMeta(path: string, index: string): MetaDisk {
  if (index === "internal") return { kind: "internal" };
  if (index === "flexible") return { kind: "flexible", path };
  return { kind: "indexed", path, index: Number(index) };
}
