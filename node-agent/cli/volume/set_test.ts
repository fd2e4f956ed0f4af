import assert from "node:assert/strict";
import { dirname } from "node:path";
import { run } from "../testdata/fake_context.ts";

const RES = `resource db {
    device    /dev/drbd1;
    disk      /nowhere;
    meta-disk internal;
    net {
        protocol   C; # both disks
        shared-secret "abc";
    }
    on a { address 127.0.0.1:7789; }
    on b { address 127.0.0.2:7789; }
}
`;

async function scene(
  play: (tools: {
    set(
      ...words: string[]
    ): Promise<{ code: number; out: string; err: string }>;
    text(): string;
    file: string;
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-set-" });
  const file = `${dir}/drbd.d/db.res`;
  try {
    await Deno.mkdir(`${dir}/drbd.d`);
    await Deno.writeTextFile(`${dir}/drbd.conf`, 'include "drbd.d/*.res";\n');
    await Deno.writeTextFile(file, RES, { mode: 0o600 });
    const own = ["--config", `${dir}/drbd.conf`, "--host", "a"];
    await play({
      set: (...words) =>
        run(["volume", "set", ...words, ...own, "--run-dir", dir]),
      text: () => Deno.readTextFileSync(file),
      file,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("kedge volume set writes options and says what changed", () =>
  scene(async ({ set, text, file }) => {
    const { code, out, err } = await set(
      ...["db", "protocol=B", "resync-rate=50M"],
    );
    assert.equal(code, 0, err);
    assert.match(out, /db is down/);
    assert.match(err, /protocol: C -> B/);
    assert.match(err, /resyncRateBytesPerS: \d+ -> 52428800/);
    assert.match(
      err,
      /other host .*volume set db protocol=B resync-rate=50M$/m,
    );
    assert.match(text(), /protocol B; # both disks\n/);
    assert.match(text(), /\n {4}disk \{\n {8}resync-rate 50M;\n {4}\}\n\}/);
    assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    assert(!err.includes("abc"));

    const before = text();
    const again = await set("db", "protocol=B");
    assert.match(again.err, /says so already/);
    await set("db", "resync-rate=");
    assert.match(text(), /disk \{\n {4}\}/);
    assert.notEqual(text(), before);
  }));

Deno.test("kedge volume set refuses what cannot be, and changes nothing", () =>
  scene(async ({ set, text }) => {
    for (
      const [word, why] of [
        ["protcol=B", /did you mean protocol\?/],
        ["protocol", /Say protocol=VALUE/],
        ["shared-secret=x", /not for a command line/],
        ["timeout=1\n}", /one line only/],
      ] as const
    ) {
      const { code, err } = await set("db", word);
      assert.equal(code, 2, word);
      assert.match(err, why);
    }
    const wrong = await set("db", "protocol=B", "timeout=soon");
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /nothing was changed, .* would be wrong/);
    const other = await set("nobody", "protocol=B");
    assert.equal(other.code, 5);
    assert.match(
      other.err,
      /'nobody' not defined .*\n {2}next: "drbdadm sh-res/,
    );
    assert.equal(text(), RES);
  }));

Deno.test("kedge volume set leaves a text alone that it cannot write back", () =>
  scene(async ({ set, file }) => {
    const gbk = new Uint8Array([0x23, 0xbd, 0xc5, 0xb1, 0xbe, 0x0a]);
    const bytes = new Uint8Array([...gbk, ...new TextEncoder().encode(RES)]);
    Deno.writeFileSync(file, bytes);
    const { code, err } = await set("db", "protocol=B");
    assert.equal(code, 1);
    assert.match(err, /not UTF-8, so nothing was changed\n {2}next: .*iconv/);
    assert.deepEqual(Deno.readFileSync(file), bytes);
  }));

Deno.test("what the other host is to be told can be typed as it stands", () =>
  scene(async ({ set }) => {
    const { err } = await set("db", 'fence-peer=/x "$(id)"; y');
    assert.match(
      err,
      /volume set db fence-peer=\/x\\ \\"\\\$\\\(id\\\)\\"\\;\\ y$/m,
    );
  }));

Deno.test("kedge volume set says what is odd about the configuration then", () =>
  scene(async ({ set }) => {
    const { code, err } = await set("db", "allow-two-primaries=yes");
    assert.equal(code, 0);
    assert.match(err, /db\.res:\d+: .*dual.primary.* \(warning\)$/im);
    assert.doesNotMatch((await set("db", "timeout=50")).err, /\(warning\)/);
  }));

Deno.test("kedge volume set keeps a long value, and a symbolic link", () =>
  scene(async ({ set, text, file }) => {
    Deno.renameSync(file, `${file}.real`);
    Deno.symlinkSync(`${file}.real`, file);
    const long = `/usr/lib/${"x".repeat(200)}`;
    const { code, err } = await set("db", `fence-peer=${long}`);
    assert.equal(code, 0, err);
    assert.ok(text().includes(`"${long}";`));
    assert.ok(Deno.lstatSync(file).isSymlink);
  }));

Deno.test("options that are set at once are all set", () =>
  scene(async ({ set, text, file }) => {
    const words = ["timeout=55", "max-buffers=9000", "resync-rate=7M"];
    const ends = await Promise.all(words.map((word) => set("db", word)));
    assert.deepEqual(ends.map(({ code }) => code), [0, 0, 0]);
    for (const word of words) {
      assert.ok(text().includes(word.replace("=", " ")));
    }
    const names = [...Deno.readDirSync(dirname(file))].map(({ name }) => name);
    assert.deepEqual(names, ["db.res"]);
  }));
