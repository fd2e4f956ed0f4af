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

Deno.test("a folder with a space in its name is one word of every line", () => {
  const data = "/srv/my files";
  const caFile = `${data}/tls/ca.pem`;
  const lines = hintLines({ ...FACTS, data, access: "key", caFile });
  const words = `'${data}'`;
  assert.ok(lines.includes(`  KEDGE_DATA=${words} deno task kedge status`));
  const upload = lines.find((line) => line.includes(" -T "));
  assert.ok(upload?.includes(`--cacert '${caFile}'`), upload);
  assert.ok(upload?.includes(`$(cat '${data}/admin.key')`), upload);
});
