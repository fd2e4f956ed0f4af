import assert from "node:assert/strict";
import { adjustSteps } from "./adjust.ts";
import { parseDrbdText } from "./parse.ts";
import { resolveResource } from "./resolve.ts";

const BASE = `resource web {
  options { on-no-data-accessible io-error; }
  net { timeout 80; verify-alg sha1; }
  disk { on-io-error pass_on; c-max-rate 51200k; }
  volume 0 { device minor 5; disk /dev/vg/web; meta-disk internal; }
  on alice { address 10.1.1.31:7790; }
  on bob { address 10.1.1.32:7790; } }`;

/** Steps on alice after these replacements in the file. */
function steps(...changes: [string, string][]): unknown[] {
  let text = BASE;
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), from);
    text = text.replace(from, to);
  }
  const [running, wanted] = [BASE, text].map((text) =>
    resolveResource(parseDrbdText(text), {
      host: "alice",
      resourceName: "web",
    })
  );
  assert.ok(running && wanted);
  return adjustSteps(running, wanted);
}

Deno.test("adjustSteps() does nothing when nothing differs", () => {
  assert.deepEqual(steps(), []);
  assert.deepEqual(steps(["timeout 80", "ping-int 10; timeout 80"]), []);
  assert.deepEqual(steps(["51200k", "50M"]), []);
});

Deno.test("adjustSteps() changes options in place", () => {
  const net = { kind: "net-options", peer: "bob" };
  const disk = { kind: "disk-options", volume: 0 };
  const resync = { kind: "resync-options", peer: "bob", volume: 0 };
  const general = { kind: "resource-options" };
  const cases: [[string, string], unknown[]][] = [
    [["timeout 80", "protocol A; timeout 80"], [net]],
    [["pass_on", "detach"], [disk]],
    [["51200k", "10M"], [resync]],
    [["io-error", "suspend-io"], [general]],
    [["net {", "handlers { split-brain x; } net {"], [general]],
  ];
  for (const [change, expected] of cases) {
    assert.deepEqual(steps(change), expected);
  }
});

Deno.test("adjustSteps() takes down what cannot be changed in place", () => {
  assert.deepEqual(steps(["10.1.1.32:7790", "10.1.1.33:7790"]), [
    { kind: "disconnect", peer: "bob" },
    { kind: "connect", peer: "bob" },
  ]);
  assert.deepEqual(steps(["on bob", "on carol"]), [
    { kind: "disconnect", peer: "bob" },
    { kind: "connect", peer: "carol" },
  ]);
  assert.deepEqual(steps(["/dev/vg/web", "/dev/vg/new"]), [
    { kind: "detach", volume: 0 },
    { kind: "attach", volume: 0 },
  ]);
  assert.deepEqual(steps(["/dev/vg/web", "none"]), [
    { kind: "detach", volume: 0 },
  ]);
  assert.deepEqual(steps(["minor 5", "minor 6"]), [
    { kind: "detach", volume: 0 },
    { kind: "attach", volume: 0 },
  ]);
  const more = "volume 1 { device minor 6; disk /dev/vg/b; } on alice";
  assert.deepEqual(steps(["on alice", more]), [{ kind: "attach", volume: 1 }]);
});
