import { deepEqual, equal, match } from "node:assert/strict";
import { editOptions, type OptionChange } from "./edit.ts";
import { parseDrbdText } from "./parse.ts";

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

function edited(...changes: OptionChange[]): string {
  const text = editOptions(TEXT, { file: "f", resource: "db" }, changes);
  return text ?? "not there";
}

/** Lines that went and came. */
function difference(after: string): string[] {
  const [old, now] = [TEXT.split("\n"), after.split("\n")];
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
