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
    assert.match(err, /^protocol: C -> B$/m);
    assert.match(err, /^resync-rate: default -> 50M$/m);
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
        ["verify-alg=crc33", /no digest "crc33" here; use sha256/],
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

/** As 8.3 has it, with options of `common`. */
const OLD = `common {
    protocol B;
    syncer { rate 10M; }
}
resource db {
    protocol C;
    syncer { rate 20M; al-extents 257; }
    on a {
        device /dev/drbd1; disk /dev/x; meta-disk internal;
        address 127.0.0.1:7789;
    }
    on b {
        device /dev/drbd1; disk /dev/x; meta-disk internal;
        address 127.0.0.2:7789;
    }
}
resource other {
    on a {
        volume 2 { device /dev/drbd3; disk /dev/y; meta-disk internal; }
        address 127.0.0.1:7790;
    }
    on b {
        volume 2 { device /dev/drbd3; disk /dev/y; meta-disk internal; }
        address 127.0.0.2:7790;
    }
}
`;

Deno.test("kedge volume set comes after a volume that there is", () =>
  scene(async ({ set, text, file }) => {
    const alone = await set("db", "resync-after=nosuch");
    assert.equal(alone.code, 5);
    assert.match(alone.err, /no volume "nosuch".*\n {2}next: db is the only/);
    Deno.writeTextFileSync(file, OLD);
    for (const word of ["nosuch", "other", "other/1"]) {
      const { code, err } = await set("db", `resync-after=${word}`);
      assert.equal(code, 5, word);
      assert.match(err, /next: name one of other\/2;/);
    }
    assert.equal(text(), OLD);
    const { code, err } = await set("db", "resync-after=other/2");
    assert.equal(code, 0, err);
    assert.match(text(), /al-extents 257; after other\/2; \}/);
    assert.equal((await set("db", "resync-after=")).code, 0);
  }));

Deno.test("kedge volume set says what is inherited, and what comes back", () =>
  scene(async ({ set, text, file }) => {
    Deno.writeTextFileSync(file, OLD);
    const own = await set("db", "resync-rate=50M");
    assert.match(text(), /syncer \{ rate 50M; al-extents 257; \}/);
    assert.match(own.err, /^resync-rate: 20M -> 50M$/m);
    assert.match(own.err, /"common" has 10M \(.*db\.res:3\); db has its own$/m);
    const gone = await set("db", "resync-rate=", "protocol=");
    assert.match(gone.err, /^resync-rate: 50M -> 10M$/m);
    assert.match(gone.err, /^protocol: B as "common" has it \(.*db\.res:2\)$/m);
    assert.doesNotMatch(text(), /protocol C|rate 50M/);
  }));

Deno.test("kedge volume set names the part that wins over the resource", () =>
  scene(async ({ set, text, file }) => {
    const disk = "disk { resync-rate 7M; }";
    Deno.writeTextFileSync(
      file,
      RES.replaceAll(
        "; }\n",
        `; volume 0 { device /dev/drbd1; disk /nowhere;
        meta-disk internal; ${disk} } }\n`,
      )
        .replace(/ {4}device.*\n.*\n.*internal;\n/, ""),
    );
    const { code, err } = await set("db", "resync-rate=9M");
    assert.equal(code, 0, err);
    assert.match(err, /changes, but not what counts$/m);
    assert.match(err, /db\.res:\d+ \(volume 0\) says 7M and wins/);
    assert.match(text(), /resync-rate 9M;/);
  }));

Deno.test("kedge volume set alone shows who says what, and no secret", () =>
  scene(async ({ set, file }) => {
    assert.match(
      (await set("db")).out,
      /shared-secret +\(not shown\) +resource/,
    );
    Deno.writeTextFileSync(file, OLD);
    const { out } = await set("db");
    assert.match(out, /^protocol +B +common, not in use +.*db\.res:2$/m);
    assert.match(out, /^resync-rate +20M +resource +.*db\.res:7$/m);
    const { out: json } = await set("db", "--json");
    const said = JSON.parse(json) as { name: string; counts: boolean }[];
    assert.equal(said.filter(({ name }) => name === "resync-rate").length, 2);
    assert.equal(said.filter(({ counts }) => !counts).length, 2);
    assert.equal((await set("nobody")).code, 5);
  }));

Deno.test("kedge volume set --json says what was done", () =>
  scene(async ({ set, file }) => {
    const { code, out } = await set("db", "protocol=B", "--json");
    assert.equal(code, 0);
    const { resource, written, changed, options, file: where } = JSON.parse(
      out,
    );
    assert.deepEqual([resource, written, where], [null, true, file]);
    assert.deepEqual(changed, ["protocol: C -> B"]);
    assert.equal(options[0].value, "B");
  }));
