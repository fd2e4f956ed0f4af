/** Reads drbd.conf from disk, and says which host we are. */

import { globSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import {
  type ConfFile,
  type DrbdConf,
  parseDrbdConf,
  type ReadFiles,
} from "@kedge/schema/drbd-conf";

/** Where drbdadm looks. */
export const DEFAULT_CONFIG = "/etc/drbd.conf";

/** A file on disk. Reads at most what a parser would take. */
const readFiles: ReadFiles = (pattern, from) => {
  const path = isAbsolute(pattern) || from === undefined
    ? pattern
    : join(dirname(from), pattern);
  const paths = /[*?[]/.test(path) ? globSync(path).sort() : [path];
  return paths.flatMap((each) => readFile(each));
};

/**
 * Parse a configuration with everything that it includes.
 *
 * @throws {ParseError} Exit code 10.
 */
export function loadConf(path: string, isStrict: boolean): DrbdConf {
  return parseDrbdConf(path, readFiles, { strict: isStrict });
}

/** Which host we are. */
export interface Identity {
  readonly host: string;
  /** Our addresses, for `floating` sides. */
  readonly addresses: readonly string[];
}

/** The name given, else KEDGE_HOST, else `__DRBD_NODE__`, else `uname -n`. */
export function identityOf(
  option: string | undefined,
  env: Readonly<Record<string, string>>,
): Identity {
  const named = option ?? env.KEDGE_HOST ?? env.__DRBD_NODE__;
  return {
    host: named === undefined || named === "" ? Deno.hostname() : named,
    addresses: Deno.networkInterfaces().map(({ address }) => address),
  };
}

function readFile(path: string): ConfFile[] {
  try {
    // A byte order mark is kept: the parser refuses it.
    const text = new TextDecoder("utf-8", { ignoreBOM: true })
      .decode(Deno.readFileSync(path));
    return [{ path, text }];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
