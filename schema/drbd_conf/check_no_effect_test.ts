import assert from "node:assert/strict";
import { resource } from "./conf_fixture.ts";
import { formatFinding } from "./errors.ts";
import { NO_EFFECT } from "./options/no_effect.ts";
import { TABLES } from "./options/tables.ts";
import { parseDrbdText } from "./parse.ts";

function warningsOf(text: string): string[] {
  const { warnings } = parseDrbdText(resource(text), { file: "f" });
  return warnings.map(formatFinding);
}

Deno.test("an option without effect is told, with its place and the reason", () => {
  const cases: [string, string][] = [
    ["disk { al-updates no; }", "al-updates no: the activity log"],
    ["disk { md-flushes no; }", "md-flushes no: metadata is always"],
    ["disk { no-disk-flushes; }", "disk-flushes no: a flush of"],
    ["disk { disk-barrier; }", "disk-barrier yes: write order"],
    ["disk { disk-drain no; }", "disk-drain no: write order"],
    ["disk { read-balancing round-robin; }", "read-balancing round-robin: re"],
    ["disk { rs-discard-granularity 65536; }", "rs-discard-granularity 65536:"],
    ["disk { discard-zeroes-if-aligned no; }", "discard-zeroes-if-aligned no:"],
    ["disk { resync-without-replication no; }", "resync-without-replication "],
    ["net { use-rle no; }", "use-rle no: bitmaps"],
    ["net { sndbuf-size 1M; }", "sndbuf-size 1M: the system"],
    ["net { rcvbuf-size 1M; }", "rcvbuf-size 1M: the system"],
    ["net { socket-check-timeout 5; }", "socket-check-timeout 5: a new"],
    ["net { transport rdma; }", "transport rdma: there is only tcp"],
    ["options { quorum all; }", "quorum all: quorum is"],
    [
      "startup { become-primary-on alice; }",
      "become-primary-on alice: nothing",
    ],
  ];
  for (const [text, expected] of cases) {
    const [first = "", ...more] = warningsOf(text);
    assert.ok(first.startsWith(`f:2: ${expected}`), `${text}: ${first}`);
    assert.deepEqual(more, []);
  }
});

Deno.test("half of an authentication is told: it keeps nobody out", () => {
  const alone = ["shared-secret s", "cram-hmac-alg sha1"];
  for (const line of alone) {
    const [first = "", ...more] = warningsOf(`net { ${line}; }`);
    assert.match(first, /proves nothing without (cram-hmac-alg|shared-secret)/);
    assert.deepEqual(more, []);
  }
  assert.deepEqual(warningsOf(`net { ${alone.join("; ")}; }`), []);
});

Deno.test("the same on the level of a volume", () => {
  const text = "volume 0 { device minor 1; disk /dev/a; meta-disk internal; " +
    "disk { md-flushes no; } }";
  const side = (name: string, last: number) =>
    `on ${name} { ${text} address 10.0.0.${last}:7789; }`;
  const { warnings } = parseDrbdText(
    `resource r { ${side("a", 1)} ${side("b", 2)} }`,
    { file: "f" },
  );
  assert.deepEqual(warnings.map(({ code }) => code), [
    "not-available",
    "not-available",
  ]);
});

Deno.test("what asks for the default, or has an effect, is not told", () => {
  assert.deepEqual(
    warningsOf(`
    net {
      use-rle; sndbuf-size 0; rcvbuf-size 0k; socket-check-timeout 0;
      transport tcp; allow-two-primaries no; timeout 50; max-buffers 8000;
    }
    disk {
      al-updates yes; disk-flushes; read-balancing prefer-local;
      discard-zeroes-if-aligned yes; al-extents 100; resync-rate 10M;
    }
    options { quorum off; auto-promote yes; }`),
    [],
  );
});

Deno.test("every option of the table exists", () => {
  for (const [section, reasons] of Object.entries(NO_EFFECT)) {
    const table = Object.entries(TABLES).find(([name]) => name === section);
    for (const name of Object.keys(reasons)) {
      assert.ok(table?.[1].has(name), `${section} { ${name} }`);
    }
  }
});
