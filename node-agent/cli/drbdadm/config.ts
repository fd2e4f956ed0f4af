/** Reads drbd.conf from disk, and says which host we are. */

import {
  type DrbdConf,
  includeReader,
  parseDrbdConf,
  ParseError,
} from "@kedge/schema/drbd-conf";
import { messageOf } from "../errors.ts";

/** Where drbdadm looks. */
export const DEFAULT_CONFIG = "/etc/drbd.conf";

/** Texts that count instead of what a file says, by path. */
export type TextsInstead = ReadonlyMap<string, string>;

/** The file system of this host. A byte order mark is kept: it is refused. */
const readFilesWith = (instead: TextsInstead) =>
  includeReader({
    readText(path) {
      const text = instead.get(path);
      if (text !== undefined) return text;
      try {
        return new TextDecoder("utf-8", { ignoreBOM: true })
          .decode(Deno.readFileSync(path));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw unreadable(path, error);
      }
    },
    list(folder) {
      try {
        return [...Deno.readDirSync(folder === "" ? "." : folder)]
          .map(({ name }) => name);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return [];
        throw error;
      }
    },
  });

/** A folder, or a file that we may not read: an error of the configuration. */
function unreadable(file: string, error: unknown): ParseError {
  const why = messageOf(error).replace(/ \(os error.*$/s, "");
  const text = `Can not read '${file}': ${why}.`;
  return new ParseError([{ file, line: 0, text }]);
}

/**
 * Parse a configuration with everything that it includes.
 *
 * @param instead Tries what has not been written yet.
 * @throws {ParseError} Exit code 10.
 */
export function loadConf(
  path: string,
  isStrict: boolean,
  instead: TextsInstead = new Map(),
): DrbdConf {
  return parseDrbdConf(path, readFilesWith(instead), { strict: isStrict });
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
