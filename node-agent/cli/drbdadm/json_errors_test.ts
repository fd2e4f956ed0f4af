import assert from "node:assert/strict";
import { run } from "../testdata/fake_context.ts";

const CONF = `resource r0 {
  device /dev/drbd0; disk /nowhere/0; meta-disk internal;
  on a { address 127.0.0.1:7789; }
  on b { address 127.0.0.2:7789; }
}`;

Deno.test("with --json every failure of drbdadm is one line of JSON", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-drbdadm-" });
  const drbdadm = async (...words: string[]) => {
    const own = ["-c", `${dir}/drbd.conf`, "--host", "a", "--run-dir", dir];
    const argv = ["drbdadm", ...own, ...words];
    const { code, err } = await run([...argv, "--json"]);
    assert.equal(err.split("\n").length, 2, err);
    const told = JSON.parse(err);
    assert.equal(told.exit, code);
    const plain = await run(argv);
    assert.equal(plain.code, code, "the exit code is the same");
    assert.throws(() => JSON.parse(plain.err));
    return told;
  };
  try {
    await Deno.writeTextFile(`${dir}/drbd.conf`, CONF);
    const refused = await drbdadm("primary", "r0");
    assert.match(refused.error, /^r0: Failure: \(127\) Device minor not/);
    assert.deepEqual(refused.refusals, [{
      resource: "r0",
      code: 127,
      text: "Device minor not allocated",
      why: 'r0 does not run here; start it with "drbdadm up r0"',
    }]);
    assert.equal(refused.exit, 10);
    assert.match((await drbdadm("primary", "r7")).error, /^'r7' not defined/);
    assert.match((await drbdadm("primry", "r0")).error, /mean "primary"/);
    assert.match((await drbdadm("up", "--fro", "r0")).error, /unrecognized/);
    assert.equal((await drbdadm("--stray")).exit, 2);
    assert.match((await drbdadm("status", "r0")).error, /r0/);
    await Deno.writeTextFile(`${dir}/drbd.conf`, "resource {");
    assert.match((await drbdadm("dump")).error, /drbd.conf:1: /);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
