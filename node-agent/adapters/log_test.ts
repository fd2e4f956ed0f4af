import assert from "node:assert/strict";
import { stderrLog } from "./log.ts";

Deno.test("a stranger's words do not make a line or a colour of their own", () => {
  const lines: string[] = [];
  const log = stderrLog("text", (line) => lines.push(line));
  log.warn('wants "r\n2026-11-23T00:00:00Z all is well\x1b[2J"', {
    name: "a\r\u2028b",
  });
  assert.equal(lines.length, 1);
  assert.doesNotMatch(lines[0] ?? "", /[\p{Cc}\u2028]/u);
  assert.match(lines[0] ?? "", /"r\\u000a2026.*\\u001b\[2J" name=a\\u000d/);
});
