import assert from "node:assert/strict";
import * as fc from "fast-check";
import { damagedConf, tokenSoup, validConf } from "./conf_arbitrary.ts";
import { resource } from "./conf_fixture.ts";
import type { DrbdConf } from "./ast.ts";
import { ParseError } from "./errors.ts";
import { parseDrbdConf, parseDrbdText } from "./parse.ts";
import { printDrbdConf } from "./print.ts";
import { NotDefinedError, resolveResource, resourcesOn } from "./resolve.ts";
import { filesFrom, TUTORIAL_FILES } from "./tutorial_fixture.ts";

/** Everything that alice runs; a refusal counts as its text. */
function resolveAll(conf: DrbdConf): unknown[] {
  const host = "alice";
  return resourcesOn(conf, { host }).map((resourceName) => {
    try {
      const resolved = resolveResource(conf, { host, resourceName });
      return { ...resolved, definedAt: undefined };
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      return error.findings.map(({ text }) => text.replace(/ in line.*/, ""));
    }
  });
}

/** Parses, or `undefined` when refused; anything else is thrown. */
function tryParse(text: string): DrbdConf | undefined {
  try {
    return parseDrbdText(text);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

Deno.test("printDrbdConf() prints the tutorial as drbdadm 8.4 does", () => {
  const conf = parseDrbdConf("/etc/drbd.conf", filesFrom(TUTORIAL_FILES));
  const text = printDrbdConf(conf, { host: "ha-node1" });
  assert.equal(
    text.slice(text.indexOf("# resource")),
    `# resource mysql on ha-node1: not ignored, not stacked
# defined at /etc/drbd.d/mysql.res:1
resource mysql {
    on ha-node1 {
        device           /dev/drbd1 minor 1;
        disk             /dev/data/mysql;
        meta-disk        internal;
        address          ipv4 192.168.8.51:7789;
    }
    on ha-node2 {
        device           /dev/drbd1 minor 1;
        disk             /dev/data/mysql;
        meta-disk        internal;
        address          ipv4 192.168.8.52:7789;
    }
    net {
        protocol           C;
        verify-alg       sha1;
        allow-two-primaries yes;
    }
}
`,
  );
});

Deno.test("printDrbdConf() prints only the resources that are asked for", () => {
  const conf = parseDrbdText(resource());
  assert.equal(printDrbdConf(conf, { resources: [] }), "");
  assert.match(printDrbdConf(conf, { resources: ["r0"] }), /^resource r0 \{/);
});

Deno.test("what is printed is read as the same and printed as the same", () => {
  fc.assert(
    fc.property(validConf, (text) => {
      const conf = parseDrbdText(text);
      const printed = printDrbdConf(conf);
      const again = parseDrbdText(printed);
      assert.equal(printDrbdConf(again), printed);
      assert.deepEqual(resolveAll(again), resolveAll(conf));
    }),
    { numRuns: 200 },
  );
});

Deno.test("random and damaged text is refused with ParseError or can be printed", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(tokenSoup, damagedConf, fc.string()), (text) => {
      const conf = tryParse(text);
      if (conf === undefined) return;
      accepted += 1;
      const printed = printDrbdConf(conf);
      assert.equal(printDrbdConf(parseDrbdText(printed)), printed);
      resolveAll(conf);
    }),
    { numRuns: 1000 },
  );
  assert.ok(accepted > 20, `${accepted} accepted`);
});

Deno.test("deep nesting and long lists end quickly", () => {
  const texts = [
    "{".repeat(100_000),
    `skip ${"{".repeat(200_000)}`,
    `skip ${"{ ".repeat(200_000)}${"} ".repeat(200_000)}`,
    `resource r { ${"volume 0 { ".repeat(50_000)}`,
    `resource r { on ${"a ".repeat(100_000)}`,
    `resource r { ${
      Array.from({ length: 30_000 }, (_, i) => `volume ${i} { }`).join(" ")
    } }`,
    `resource r { net { ${"timeout 9; ".repeat(80_000)} } }`,
    Array.from({ length: 30_000 }, (_, i) => `resource r${i} { }`).join("\n"),
    `"${"\\".repeat(500_000)}`,
    '"'.repeat(500_000),
    "a".repeat(1_000_000),
  ];
  for (const text of texts) tryParse(text);
});

Deno.test("many resources in a chain of resync-after are checked quickly", () => {
  const text = Array.from(
    { length: 2000 },
    (_, i) => `resource r${i} { disk { resync-after r${i + 1}; } }`,
  ).join("\n");
  const conf = parseDrbdText(text);
  assert.equal(conf.resources.length, 2000);
});

Deno.test("resolveResource() says when a resource is not defined for this host", () => {
  const conf = parseDrbdText(resource());
  for (const [host, resourceName] of [["alice", "r1"], ["carol", "r0"]]) {
    assert.throws(
      () =>
        resolveResource(conf, {
          host: host ?? "",
          resourceName: resourceName ?? "",
        }),
      (error) => error instanceof NotDefinedError && error.exitCode === 1,
    );
  }
});
