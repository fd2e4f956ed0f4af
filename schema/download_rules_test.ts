import assert from "node:assert/strict";
import { isDownloadRule, needsLink } from "./download_rules.ts";

const FILE = "group1/M01/1A/00/x.jpg";

Deno.test("a rule is a group, a store path, a folder or an extension", () => {
  const good = [
    ...["group1", "group1/M01", "group1/M01/1A", "group1/M01/1A/00"],
    ...["!group1", "!group1/M00", "*.mp4", "!*.JPG"],
  ];
  for (const rule of good) assert(isDownloadRule(rule), rule);
  const bad = [
    ...["", "!", "group1/", "group1/M1", "group1/m01", "group1/M01/1a"],
    ...["group1/M01/1A/00/x.jpg", "*", "*.", "*.toolong7", "a*.mp4", "../x"],
    ...["group1 ", "group1\n", "!!group1", "x".repeat(17)],
  ];
  for (const rule of bad) assert(!isDownloadRule(rule), rule);
});

Deno.test("the last rule that fits decides", () => {
  const verdicts: [string[], boolean][] = [
    [[], true],
    [["group1"], true],
    [["group2"], false],
    [["group1/M01"], true],
    [["group1/M00"], false],
    [["group1/M01/1A"], true],
    [["group1/M01/1B"], false],
    [["*.JPG"], true],
    [["*.pg"], false],
    [["!*.jpg"], false],
    [["!*.css"], true],
    [["group1", "!group1/M01"], false],
    [["!group1/M01", "group1"], true],
    [["group1", "!group1/M01", "*.jpg"], true],
  ];
  for (const [rules, verdict] of verdicts) {
    assert.equal(needsLink(rules, FILE), verdict, rules.join(" "));
  }
  assert(!needsLink(["group1"], "group10/M00/00/00/x.jpg"));
});
