import assert from "node:assert/strict";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import { environmentOf } from "../../mirror/host/helpers.ts";
import { type Ran, run } from "../testdata/fake_context.ts";

const RES = `resource db {
    device /dev/drbd1; disk /nonexistent/disk; meta-disk internal;
    on a { address 127.0.0.1:7789; }
    on b { address 127.0.0.2:7789; }
}
resource web {
    device /dev/drbd2; disk /nonexistent/disk2; meta-disk internal;
    handlers { split-brain "exit 7"; fence-peer "exit 8"; }
    on a { address 127.0.0.1:7790; }
    on b { address 127.0.0.2:7790; }
}
`;

/** Commands on a host whose daemon does not run. */
async function offline(
  play: (drbdadm: (line: string) => Promise<Ran>) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "kedge-offline-" });
  try {
    await Deno.mkdir(`${dir}/drbd.d`);
    const conf = `${dir}/drbd.conf`;
    await Deno.writeTextFile(
      conf,
      'common { net { timeout 70; } }\ninclude "drbd.d/*.res";\n',
    );
    await Deno.writeTextFile(`${dir}/drbd.d/all.res`, RES);
    const env = { KEDGE_RUN_DIR: `${dir}/run`, KEDGE_HOST: "a" };
    await play((line) =>
      run(["drbdadm", "-c", conf, ...line.split(" ")], { env })
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("drbdadm takes minor-N as a volume, as the kernel's helpers say it", () =>
  offline(async (drbdadm) => {
    assert.equal((await drbdadm("sh-resource minor-2")).out, "web\n");
    assert.equal(
      (await drbdadm("sh-ll-dev minor-1")).out,
      "/nonexistent/disk\n",
    );
    assert.equal((await drbdadm("split-brain minor-2")).code, 7);
    const wrong = await drbdadm("role minor-3");
    assert.equal(wrong.code, 1);
    assert.match(wrong.err, /^'minor-3' not defined in your config/);
  }));

Deno.test("drbdadm dump NAME prints that resource only, in the order asked", () =>
  offline(async (drbdadm) => {
    const { out } = await drbdadm("dump web db/0");
    assert.doesNotMatch(out, /common|timeout/);
    assert.match(out, /^# resource web [^]*^resource db \{/m);
    assert.match((await drbdadm("dump all")).out, /^common \{/m);
    assert.match((await drbdadm("dump-xml db")).out, /^<resource name="db"/);
  }));

Deno.test("drbdadm net-options starts nothing that does not run", () =>
  offline(async (drbdadm) => {
    const codes = {
      "net": 158,
      "disk": 127,
      "resource": 158,
      "peer-device": 127,
    };
    for (const [kind, code] of Object.entries(codes)) {
      const { code: exit, err } = await drbdadm(`${kind}-options db`);
      assert.equal(exit, 10);
      assert.match(err, new RegExp(`\\(${code}\\).*\n.*drbdadm up db`));
    }
    const dry = await drbdadm("-d net-options db");
    assert.equal(
      dry.out,
      "drbdsetup net-options ipv4:127.0.0.1:7789 ipv4:127.0.0.2:7789\n",
    );
  }));

Deno.test("drbdadm says which disk cannot be opened: exit code 20", () =>
  offline(async (drbdadm) => {
    for (const command of ["dump-md", "get-gi", "dstate", "create-md"]) {
      const { code, out, err } = await drbdadm(`${command} db`);
      assert.deepEqual([code, out], [20, ""], command);
      assert.match(err, /"\/nonexistent\/disk": .*No such file or directory/);
      assert.match(
        err,
        /Command 'drbdmeta 1 .*' terminated with exit code 20$/m,
      );
    }
  }));

Deno.test("drbdadm without its file says how to name another: exit code 20", () =>
  offline(async (drbdadm) => {
    const { code, err } = await drbdadm("-c /nonexistent/drbd.conf dump");
    assert.equal(code, 20);
    assert.match(
      err,
      /^Can not open '\/nonexistent\/drbd.conf'\.\n {2}next: .*-c/,
    );
    const json = await drbdadm("--json -c /nonexistent/drbd.conf role");
    assert.match(JSON.parse(json.err).next, /-c FILE/);
  }));

Deno.test("a shell can evaluate what drbdadm --version prints", async () => {
  const { out } = await run(["drbdadm", "--version"]);
  for (const line of out.trim().split("\n")) {
    assert.match(line, /^[A-Z_]+=(?:[\w.:-]|\\ )+$/);
  }
  assert.match(out, /^DRBD_KERNEL_VERSION_CODE=0x0804/m);
});

Deno.test("drbdadm explains what 9 has and a volume of two nodes has not", () =>
  offline(async (drbdadm) => {
    for (const name of ["new-peer", "del-path", "forget-peer"]) {
      const { code, err } = await drbdadm(`${name} db`);
      assert.equal(code, 20);
      assert.match(err, new RegExp(`^drbdadm ${name}: `));
    }
  }));

Deno.test("a handler is told the main file: with -c it finds everything", () => {
  const conf = parseDrbdText(RES, { file: "/etc/drbd.conf" });
  const config = resolveResource(conf, { host: "a", resourceName: "db" });
  const included = {
    ...config,
    definedAt: { file: "/etc/drbd.d/all.res", line: 1 },
  };
  const volume = { volume: 0, minor: 1, paths: undefined };
  const { DRBD_CONF } = environmentOf(included, volume);
  assert.equal(DRBD_CONF, "/etc/drbd.conf");
});
