/** Lines to paste: they must work as they stand. */
import assert from "node:assert/strict";
import { hintLines } from "./hints.ts";

const FACTS = {
  tracker: "http://127.0.0.1:8080",
  agents: [{ node: 1, group: "group1", url: "http://127.0.0.1:8081", pid: 7 }],
  trackerPid: 6,
  access: "open",
  caFile: undefined,
} as const;

Deno.test("a cluster at its usual place is found without a word", () => {
  const lines = hintLines({ ...FACTS, data: "./kedge-data" });
  assert.ok(lines.includes("  deno task kedge status"));
});

Deno.test("a cluster elsewhere is named to the command that asks it", () => {
  const lines = hintLines({ ...FACTS, data: "/srv/try" });
  assert.ok(lines.includes("  KEDGE_DATA=/srv/try deno task kedge status"));
});
