import assert from "node:assert/strict";
import { RefusalLog } from "./refusal_log.ts";

Deno.test("strangers get one line per address and reason, and few in all", () => {
  let nowMs = 0;
  const lines: unknown[] = [];
  const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };
  const warn = (_: string, facts: unknown) => lines.push(facts);
  const refusals = new RefusalLog(clock, { info: warn, warn });
  for (let i = 0; i < 50; i++) refusals.refused("10.0.0.1", "silent");
  refusals.refused("10.0.0.1", "bad-magic");
  assert.deepEqual(lines, [
    { from: "10.0.0.1", why: "silent", untold: 0 },
    { from: "10.0.0.1", why: "bad-magic", untold: 49 },
  ]);
  for (let i = 0; i < 90; i++) refusals.refused(`10.0.1.${i}`, "silent");
  assert.equal(lines.length, 20);
  nowMs = 10_001;
  refusals.refused("10.0.0.1", "silent");
  assert.deepEqual(lines.at(-1), {
    from: "10.0.0.1",
    why: "silent",
    untold: 72,
  });
});
