/**
 * From the settings of downloads to the rules that the HTTP door applies: the
 * secrets are read here.
 *
 * @module
 */

import type { DownloadConfig } from "@kedge/schema/config/downloads";
import { FASTDFS_KEY, parseLinkKeys } from "@kedge/schema/download-links";
import type { LinkKey } from "@kedge/schema/download-links";
import type { LinkRules } from "./http/read/link_gate.ts";
import { LinkKeyFile } from "./link_key_file.ts";
import type { Clock, Log } from "./ports.ts";

/**
 * Read the rules. Their keys follow the file, when they come from one.
 *
 * @returns `undefined` when everybody may read and nobody is trusted.
 * @throws {Error} When the secrets cannot be read or do not fit; never says
 * one.
 */
export async function linkRules(
  config: DownloadConfig | undefined,
  world: { readonly clock: Pick<Clock, "monotonicMs">; readonly log: Log },
): Promise<LinkRules | undefined> {
  if (config === undefined) return undefined;
  const { schemes, rules, ttlS, trustedProxies, keysFile } = config;
  if (!schemes.signed && !schemes.fastdfs) {
    if (trustedProxies.length === 0) return undefined;
    return { schemes, rules, ttlS, trustedProxies, keys: [] };
  }
  const known = { schemes, rules, ttlS, trustedProxies };
  if (config.keysText !== undefined || keysFile === undefined) {
    const keys = await readLinkKeys(config);
    mustSuffice(schemes, keys);
    return { ...known, keys };
  }
  const parse = (text: string) => {
    const keys = parsed(text);
    mustSuffice(schemes, keys);
    return keys;
  };
  const file = new LinkKeyFile({ path: keysFile, parse }, world);
  return {
    ...known,
    get keys() {
      return file.keys;
    },
  };
}

function mustSuffice(
  schemes: LinkRules["schemes"],
  keys: readonly LinkKey[],
): void {
  const isFastdfs = ({ id }: LinkKey) => id === FASTDFS_KEY;
  if (schemes.fastdfs && !keys.some(isFastdfs)) {
    throw new Error(
      `Cannot check FastDFS's tokens: no line "${FASTDFS_KEY} SECRET" among the download keys`,
    );
  }
  if (schemes.signed && keys.every(isFastdfs)) {
    throw new Error(
      "Cannot check signed links: no line NAME SECRET among the download keys",
    );
  }
}

function parsed(text: string): readonly LinkKey[] {
  const read = parseLinkKeys(text);
  if ("keys" in read) return read.keys;
  throw new Error(read.why);
}

/**
 * The secrets that settings name.
 *
 * @throws {Error} As {@linkcode linkRules}.
 */
export async function readLinkKeys(
  { keysFile, keysText }: Pick<DownloadConfig, "keysFile" | "keysText">,
): Promise<readonly LinkKey[]> {
  const text = keysText ?? await readFile(keysFile);
  try {
    return parsed(text);
  } catch (error) {
    const where = keysText === undefined
      ? `"${keysFile}"`
      : "KEDGE_DOWNLOAD_KEYS";
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot use the download keys in ${where}: ${why}`);
  }
}

async function readFile(path: string | undefined): Promise<string> {
  if (path === undefined) {
    throw new Error("No download keys are named");
  }
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot read the download keys from "${path}": ${why}`);
  }
}
