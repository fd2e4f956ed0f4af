import { deepEqual, equal, match } from "node:assert/strict";
import { editOptions, type OptionChange } from "./edit.ts";
import { parseDrbdText } from "./parse.ts";
import { resolveResource } from "./resolve.ts";

const TEXT = `# resource db { net { timeout 1; } } in a comment
common { net { timeout 50; } }
resource other { net { protocol A; } on a { } }
resource "db" {
    device    /dev/drbd1; # net { }
    disk      /dev/sda1;
    meta-disk internal;
    net {
        protocol   C;  # both disks
        verify-alg "sha256"; timeout 60;
    }
    handlers { split-brain "echo } ; {"; }
    on a { address 10.0.0.1:7789; disk /dev/a; }
    on b { address 10.0.0.2:7789; }
}
`;

/** As 8.3 has it. */
const OLD_TEXT = `common { syncer { rate 10M; } }
resource old {
    protocol C;
    syncer {
        rate       20M; # of the line
        after      "first";
        al-extents 257;
    }
    net { timeout 60; }
    disk { no-disk-flushes; fencing resource-only; }
    handlers { outdate-peer "/bin/x"; }
    on a { device /dev/drbd1; disk /dev/a; address 10.0.0.1:1; meta-disk internal; }
    on b { device /dev/drbd1; disk /dev/a; address 10.0.0.2:1; meta-disk internal; }
}
resource first {
    on a { device /dev/drbd2; disk /dev/b; address 10.0.0.1:2; meta-disk internal; }
    on b { device /dev/drbd2; disk /dev/b; address 10.0.0.2:2; meta-disk internal; }
}
`;

function edited(...changes: OptionChange[]): string {
  const text = editOptions(TEXT, { file: "f", resource: "db" }, changes);
  return text ?? "not there";
}

function oldEdited(...changes: OptionChange[]): string {
  const text = editOptions(OLD_TEXT, { file: "f", resource: "old" }, changes);
  return text ?? "not there";
}

/** Lines that went and came. */
function difference(after: string, before = TEXT): string[] {
  const [old, now] = [before.split("\n"), after.split("\n")];
  return [
    ...old.filter((line) => !now.includes(line)).map((line) => `-${line}`),
    ...now.filter((line) => !old.includes(line)).map((line) => `+${line}`),
  ];
}

const net = (name: string, value: string | undefined): OptionChange => ({
  section: "net",
  name,
  value,
});

Deno.test("an option is changed where it stands, and nothing else", () => {
  deepEqual(difference(edited(net("protocol", "B"))), [
    "-        protocol   C;  # both disks",
    "+        protocol B;  # both disks",
  ]);
  deepEqual(difference(edited(net("timeout", "70"))), [
    '-        verify-alg "sha256"; timeout 60;',
    '+        verify-alg "sha256"; timeout 70;',
  ]);
  const handler = { section: "handlers", name: "split-brain" } as const;
  match(
    edited({ ...handler, value: 'mail "root"' }),
    / handlers \{ split-brain "mail \\"root\\""; \}/,
  );
});

Deno.test("an option that is missing is added, with its section", () => {
  deepEqual(difference(edited(net("max-buffers", "8000"))), [
    "+        max-buffers 8000;",
  ]);
  deepEqual(
    difference(edited({ section: "disk", name: "resync-rate", value: "50M" })),
    ["+    disk {", "+        resync-rate 50M;"],
  );
  const handler = { section: "handlers", name: "fence-peer" } as const;
  match(
    edited({ ...handler, value: "/bin/true" }),
    /"echo \} ; \{"; fence-peer \/bin\/true; \}/,
  );
});

Deno.test("an option that goes takes its line along", () => {
  deepEqual(difference(edited(net("timeout", undefined))), [
    '-        verify-alg "sha256"; timeout 60;',
    '+        verify-alg "sha256";',
  ]);
  const lines = TEXT.split("\n").length;
  const text = edited(net("verify-alg", undefined), net("timeout", undefined));
  equal(text.split("\n").length, lines - 1);
  equal(edited(net("max-buffers", undefined)), TEXT);
  equal(
    edited({ section: "disk", name: "c-max-rate", value: undefined }),
    TEXT,
  );
});

Deno.test("what was edited parses, with the new values", () => {
  const text = edited(
    net("protocol", "A"),
    net("max-buffers", "8000"),
    { section: "disk", name: "resync-rate", value: "50M" },
    { section: "disk", name: "c-max-rate", value: "80M" },
    { section: "options", name: "on-no-data-accessible", value: "io-error" },
  ).replace("resource other { net { protocol A; } on a { } }\n", "");
  const [resource] = parseDrbdText(text).resources;
  const names = (section: "net" | "disk" | "options") =>
    resource?.sections[section]?.map(({ name }) => name);
  deepEqual(names("net"), ["protocol", "verify-alg", "timeout", "max-buffers"]);
  deepEqual(names("disk"), ["resync-rate", "c-max-rate"]);
  deepEqual(names("options"), ["on-no-data-accessible"]);
});

Deno.test("a resource that stands elsewhere is not made up", () => {
  const place = { file: "f", resource: "nobody" };
  equal(editOptions(TEXT, place, [net("protocol", "A")]), undefined);
  equal(
    editOptions("resource x {", { file: "f", resource: "x" }, [
      net("protocol", "A"),
    ]),
    undefined,
  );
});

const disk = (name: string, value: string | undefined): OptionChange => ({
  section: "disk",
  name,
  value,
});

Deno.test("an option of 8.3 is changed where it stands, by its old name", () => {
  const cases: [OptionChange, string, string][] = [
    [
      disk("resync-rate", "50M"),
      "-        rate       20M; # of the line",
      "+        rate 50M; # of the line",
    ],
    [
      disk("resync-after", "other"),
      '-        after      "first";',
      "+        after other;",
    ],
    [
      disk("al-extents", "509"),
      "-        al-extents 257;",
      "+        al-extents 509;",
    ],
    [net("protocol", "B"), "-    protocol C;", "+    protocol B;"],
    [
      disk("disk-flushes", "yes"),
      "-    disk { no-disk-flushes; fencing resource-only; }",
      "+    disk { disk-flushes yes; fencing resource-only; }",
    ],
    [
      net("fencing", "dont-care"),
      "-    disk { no-disk-flushes; fencing resource-only; }",
      "+    disk { no-disk-flushes; fencing dont-care; }",
    ],
    [
      { section: "handlers", name: "fence-peer", value: "/bin/y" },
      '-    handlers { outdate-peer "/bin/x"; }',
      "+    handlers { outdate-peer /bin/y; }",
    ],
  ];
  for (const [change, went, came] of cases) {
    deepEqual(difference(oldEdited(change), OLD_TEXT), [went, came]);
  }
});

Deno.test("a new option goes into the section that 8.3 has for it", () => {
  deepEqual(difference(oldEdited(net("verify-alg", "sha1")), OLD_TEXT), [
    "+        verify-alg sha1;",
  ]);
  // 8.3 has no name for it in `syncer`.
  match(oldEdited(net("max-buffers", "80")), /net \{ timeout 60; max-buf/);
  const without = oldEdited(disk("resync-rate", undefined));
  deepEqual(difference(without, OLD_TEXT), [
    "-        rate       20M; # of the line",
    "+        # of the line",
  ]);
  equal(oldEdited(disk("resync-rate", "1M")).match(/rate/g)?.length, 2);
});

Deno.test("what was edited in a file of 8.3 counts", () => {
  const text = oldEdited(
    disk("resync-rate", "50M"),
    disk("resync-after", undefined),
    net("protocol", "A"),
    net("verify-alg", "md5"),
    disk("disk-flushes", "yes"),
  );
  const conf = parseDrbdText(text);
  const config = resolveResource(conf, { host: "a", resourceName: "old" });
  equal(config.peers[0]?.volumes[0]?.resync.resyncRateBytesPerS, 50 * 2 ** 20);
  equal(config.net.protocol, "A");
  equal(config.net.verifyAlg, "md5");
  equal(config.volumes[0].options.resyncAfter, undefined);
  equal(config.volumes[0].options.diskFlushes, true);
});
