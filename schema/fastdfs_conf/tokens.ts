/**
 * FastDFS's anti-leech tokens: three keys that become settings together.
 *
 * @module
 */

import type { ConfProblem } from "./text.ts";
import type { KeyFinding } from "./understand.ts";

const CHECK = "http.anti_steal.check_token";
const TTL = "http.anti_steal.token_ttl";
const SECRET = "http.anti_steal.secret_key";

/** The setting that holds secrets; never to be shown. */
export const SECRET_SETTING = "download_keys";

/**
 * The settings of tokens.
 *
 * @param all Findings that are mapped and not empty.
 * @param problems What is wrong is added here, without the secret.
 */
export function tokenSettings(
  all: readonly KeyFinding[],
  problems: ConfProblem[],
): Record<string, string> {
  const of = (key: string) => all.filter((finding) => finding.key === key);
  const checks = of(CHECK);
  if (checks.length === 0) return {};
  // Of two files that do not agree the one that protects counts.
  const check = checks.find(({ value }) => value === "yes");
  if (check === undefined) return { download_tokens: "off" };
  const secret = of(SECRET).at(-1);
  if (secret === undefined || /\s/.test(secret.value)) {
    const { file, line } = secret ?? check;
    const isMissing = secret === undefined;
    problems.push({
      file,
      line,
      cause: isMissing ? `${CHECK} needs a secret` : `${SECRET} has spaces`,
      next: isMissing ? `write ${SECRET}` : "choose one without",
    });
    return {};
  }
  const ttl = of(TTL).at(-1);
  return {
    download_tokens: "fastdfs",
    [SECRET_SETTING]: `fastdfs ${secret.value}`,
    ...(ttl === undefined ? {} : { download_token_ttl: ttl.value }),
  };
}
