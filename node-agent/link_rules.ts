/**
 * From the settings of downloads to the rules that the HTTP door applies: the
 * secrets are read here, once, at the start.
 *
 * @module
 */

import type { DownloadConfig } from "@kedge/schema/config/downloads";
import { FASTDFS_KEY, parseLinkKeys } from "@kedge/schema/download-links";
import type { LinkKey } from "@kedge/schema/download-links";
import type { LinkRules } from "./http/read/link_gate.ts";

/**
 * Read the rules.
 *
 * @returns `undefined` when everybody may read and nobody is trusted.
 * @throws {Error} When the secrets cannot be read or do not fit; never says
 * one.
 */
export async function linkRules(
  config: DownloadConfig | undefined,
): Promise<LinkRules | undefined> {
  if (config === undefined) return undefined;
  const { schemes, rules, ttlS, trustedProxies } = config;
  if (!schemes.signed && !schemes.fastdfs) {
    if (trustedProxies.length === 0) return undefined;
    return { schemes, rules, ttlS, trustedProxies, keys: [] };
  }
  const keys = await readLinkKeys(config);
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
  return { schemes, rules, ttlS, trustedProxies, keys };
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
  const read = parseLinkKeys(text);
  if ("keys" in read) return read.keys;
  const where = keysText === undefined
    ? `"${keysFile}"`
    : "KEDGE_DOWNLOAD_KEYS";
  throw new Error(`Cannot use the download keys in ${where}: ${read.why}`);
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
