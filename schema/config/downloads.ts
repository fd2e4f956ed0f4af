/**
 * Settings of downloads: links that they need, and a proxy in front.
 *
 * @module
 */

import { z } from "zod";
import { parseLinkKeys } from "../download_links.ts";
import { isDownloadRule } from "../download_rules.ts";
import { isAllowedHost } from "./allow_hosts.ts";
import { list, parsed } from "./fields.ts";
import { parseDuration } from "./units.ts";

/** The settings, by name. */
export const DOWNLOAD_SETTINGS = {
  download_tokens: z.enum(["off", "signed", "fastdfs", "both"]).default("off")
    .describe(
      "Links that a download needs: `signed` (`kedge link`), FastDFS's `token` and `ts`, or either.",
    ),
  download_token_paths: list(
    z.string().refine(isDownloadRule, {
      error: "is no group, GROUP/Mxx[/HH[/LL]] or *.EXT, or one with ! before",
    }),
  ).optional().describe(
    "Which files need a link: `group1`, `group1/M01`, `*.mp4`, `!group1/M02`; the last that fits decides. All when missing.",
  ),
  download_token_ttl: parsed(parseDuration, "a duration such as 900s")
    .prefault("900s").describe(
      "How long FastDFS's tokens count after their `ts` (`token_ttl`). Signed links say it themselves.",
    ),
  download_keys_file: z.string().min(1).optional().describe(
    "File with the secrets, `NAME SECRET` on each line; the name `fastdfs` is for FastDFS's tokens. Read again when it changes.",
  ),
  download_keys: z.string().min(3).optional()
    .describe("The content of that file; environment only, never a flag."),
  trusted_proxies: list(
    z.string().refine(isAllowedHost, {
      error: "is no address, range, network or *",
    }),
  ).optional().describe(
    "Proxies whose `X-Forwarded-For` counts, and that may send files themselves (`X-Kedge-Accel`): nginx. Nobody when missing.",
  ),
  nginx_dir: z.string().min(1).optional().describe(
    "Folder in which nginx on this machine finds the files that it may serve without asking; see `kedge nginx-config`.",
  ),
};

const DownloadSettings = z.object(DOWNLOAD_SETTINGS);

/** Complete settings of downloads. */
export interface DownloadConfig {
  /** Schemes that count; both false is off. */
  readonly schemes: { readonly signed: boolean; readonly fastdfs: boolean };
  /** Which files need a link. */
  readonly rules: readonly string[];
  /** Life of FastDFS's tokens, in seconds. */
  readonly ttlS: number;
  /** Where the secrets are. */
  readonly keysFile: string | undefined;
  /** The secrets themselves, as text. */
  readonly keysText: string | undefined;
  /** Fit for `allowedHosts`. */
  readonly trustedProxies: readonly string[];
  /** Folder of links for nginx. */
  readonly nginxDir: string | undefined;
}

/** The settings of downloads. */
export function downloadConfig(
  settings: z.infer<typeof DownloadSettings>,
): DownloadConfig {
  const kind = settings.download_tokens;
  return {
    schemes: {
      signed: kind === "signed" || kind === "both",
      fastdfs: kind === "fastdfs" || kind === "both",
    },
    rules: settings.download_token_paths ?? [],
    ttlS: Math.floor(settings.download_token_ttl / 1000),
    keysFile: settings.download_keys_file,
    keysText: settings.download_keys,
    trustedProxies: settings.trusted_proxies ?? [],
    nginxDir: settings.nginx_dir,
  };
}

/** What contradicts itself, one line each. Never a secret. */
export function downloadContradictions(
  settings: z.infer<typeof DownloadSettings>,
): string[] {
  const found: string[] = [];
  const { download_tokens: kind, download_keys: text } = settings;
  const file = settings.download_keys_file;
  if (kind !== "off" && text === undefined && file === undefined) {
    found.push(
      "download_keys_file: needed because `download_tokens` is not off; one line is NAME SECRET",
    );
  }
  if (text !== undefined && file !== undefined) {
    found.push("download_keys, download_keys_file: give one of them");
  }
  const read = text === undefined ? undefined : parseLinkKeys(text);
  if (read !== undefined && "why" in read) {
    found.push(`download_keys: ${read.why}`);
  }
  // nginx would serve them from the disk without asking.
  if (kind !== "off" && settings.nginx_dir !== undefined) {
    found.push(
      "nginx_dir, download_tokens: with tokens every download is decided here; leave nginx_dir away and use `kedge nginx-config --serve accel`",
    );
  }
  return found;
}
