/**
 * Which files need a signed link. FastDFS has one switch for everything; here
 * it is a list, of which the last rule that fits decides.
 *
 * ```text
 * group1          all files of a group
 * group1/M01      of a store path; group1/M01/1A of a folder
 * *.mp4           by extension
 * !group1/M02     all but these
 * ```
 *
 * An empty list means every file; so does what comes before a first rule with
 * `!`. Pure.
 *
 * @module
 */

const RULE =
  /^!?(?:[A-Za-z0-9]{1,16}(?:\/M[0-9A-F]{2}(?:\/[0-9A-F]{2}){0,2})?|\*\.[A-Za-z0-9]{1,6})$/;

/** Whether a text can stand in `download_token_paths`. */
export function isDownloadRule(text: string): boolean {
  return RULE.test(text);
}

/**
 * Whether a file needs a link.
 *
 * @param rules Each fit for {@linkcode isDownloadRule}.
 * @param id Its file ID.
 *
 * @example
 * ```ts
 * import { needsLink } from "@kedge/schema/download-rules";
 * import assert from "node:assert/strict";
 *
 * const rules = ["group1/M01", "*.mp4", "!group1/M01/00"];
 * assert(needsLink(rules, "group1/M01/1A/00/x.jpg"));
 * assert(!needsLink(rules, "group1/M01/00/00/x.mp4"));
 * assert(!needsLink(rules, "group1/M00/00/00/x.jpg"));
 * assert(needsLink([], "group1/M00/00/00/x.jpg"));
 * ```
 */
export function needsLink(rules: readonly string[], id: string): boolean {
  let verdict = rules[0] === undefined || rules[0].startsWith("!");
  for (const rule of rules) {
    const isExempt = rule.startsWith("!");
    if (fits(isExempt ? rule.slice(1) : rule, id)) verdict = !isExempt;
  }
  return verdict;
}

function fits(rule: string, id: string): boolean {
  return rule.startsWith("*")
    ? id.toLowerCase().endsWith(rule.slice(1).toLowerCase())
    : id.startsWith(`${rule}/`);
}
