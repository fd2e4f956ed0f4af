/**
 * `kedge volume` with real processes: create, promote, a split brain, its
 * repair, and what the loser had, brought back.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { NbdWriter } from "../../node-agent/cli/volume/nbd_writer.ts";
import { DrbdHost, freePort } from "../helpers/drbdadm_hosts.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const BLOCK_BYTES = 4096;

/** A host with a configuration of its own. */
async function volumeHost(scope: Scope, name: string): Promise<DrbdHost> {
  const dir = await scope.tempDir();
  const config = join(dir, "etc", "drbd.conf");
  const host = new DrbdHost(name, {
    scope,
    config,
    runDir: join(dir, "run"),
    disk: join(dir, "db.img"),
  });
  scope.defer(() => host.run("kedge", "mirror", "stop"));
  return host;
}

async function kedge(host: DrbdHost, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await host.run(
    "kedge",
    "volume",
    ...args,
    "--config",
    host.place.config,
  );
  if (code !== 0) throw new Error(`${args.join(" ")}: ${code} ${stderr}`);
  return stdout;
}

async function inSync(...hosts: DrbdHost[]): Promise<void> {
  for (const host of hosts) {
    await eventually(() => kedge(host, "status", "db").then(() => true), {
      what: `db to be in sync on ${host.name}`,
      deadlineMs: 60_000,
      pauseMs: 200,
    });
  }
}

async function write(
  host: DrbdHost,
  block: number,
  value: number,
): Promise<void> {
  await using export_ = await NbdWriter.open(
    join(host.place.runDir, "db.nbd"),
    "db",
  );
  const content = new Uint8Array(BLOCK_BYTES).fill(value);
  await export_.write(block * BLOCK_BYTES, content);
  await export_.flush();
}

async function read(host: DrbdHost, block: number): Promise<number> {
  using disk = await Deno.open(host.place.disk);
  await disk.seek(block * BLOCK_BYTES, Deno.SeekMode.Start);
  const bytes = new Uint8Array(BLOCK_BYTES);
  await disk.read(bytes);
  assert(bytes.every((byte) => byte === bytes[0]));
  return bytes[0] ?? -1;
}

// 25 s
Deno.test("kedge volume: create, split brain, resolve, undo", async () => {
  await using scope = new Scope();
  const a = await volumeHost(scope, "a");
  const b = await volumeHost(scope, "b");
  const port = freePort();
  for (
    const [size, why] of [["8x", /--size must be/], ["", /no disk/]] as const
  ) {
    const words = ["create", "db", "--disk", a.place.disk];
    if (size !== "") words.push("--size", size);
    words.push("--listen", "127.0.0.1:1", "--peer", "b=127.0.0.2:1");
    await assert.rejects(kedge(a, ...words), why);
  }
  await kedge(
    a,
    ...["create", "db", "--disk", a.place.disk, "--size", "16M"],
    ...["--listen", `127.0.0.1:${port}`, "--peer", `b=127.0.0.2:${port}`],
    ...["--peer-disk", b.place.disk],
  );
  // What its last lines say: the same file belongs to the other host.
  const folder = (host: DrbdHost) => join(host.place.config, "..", "drbd.d");
  await Deno.mkdir(folder(b), { recursive: true });
  await Deno.copyFile(a.place.config, b.place.config);
  for (const name of ["db.res", "global_common.conf"]) {
    await Deno.copyFile(join(folder(a), name), join(folder(b), name));
  }
  const { mode } = await Deno.stat(join(folder(a), "db.res"));
  assert.equal((mode ?? 0) & 0o777, 0o600, "it holds a secret");
  await kedge(b, "init", "db", "--size", "16M");
  await assert.rejects(kedge(a, "promote", "db"), /promote db --force/);
  await kedge(a, "promote", "db", "--force");
  await inSync(a, b);

  // By hand and with a command; both run on.
  const path = join(folder(b), "db.res");
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, text.replace("sha256", "sha1"));
  await kedge(b, "adjust", "db");
  await assert.rejects(kedge(a, "verify", "db"));
  await kedge(a, "set", "db", "verify-alg=sha1", "resync-rate=50M");
  await kedge(a, "verify", "db");
  await inSync(a, b);

  for (const host of [a, b]) await kedge(host, "disconnect", "db", "--force");
  await write(a, 3, 0xaa);
  await kedge(a, "demote", "db");
  await kedge(b, "promote", "db");
  await write(b, 7, 0xbb);
  await kedge(b, "demote", "db");
  await kedge(a, "connect", "db");
  await kedge(b, "connect", "db");
  const side = join(folder(b), "side.json");
  await eventually(async () => {
    const text = await kedge(b, "resolve", "db", "--json");
    await Deno.writeTextFile(side, text);
    const { volumes: [volume] } = JSON.parse(text);
    return volume.connection === "StandAlone";
  }, { what: "b to stand alone", pauseMs: 200 });
  const advice = await kedge(a, "resolve", "db", "--peer-status", side);
  assert.match(advice, /^SPLIT BRAIN: both sides wrote/m);
  // Both sides, each by its own clock.
  assert.equal(advice.match(/first write 20\S+Z, last 20\S+Z/g)?.length, 2);
  assert.match(advice, /on b: +drbdadm secondary db && drbdadm connect --dis/);

  await kedge(b, "connect", "db", "--discard-my-data");
  await kedge(a, "connect", "db").catch(() => "it looks for its peer already");
  await inSync(a, b);
  assert.equal(await read(b, 3), 0xaa);
  assert.equal(await read(b, 7), 0);

  const [file] = JSON.parse(await kedge(b, "undo", "db", "list", "--json"));
  assert.equal(file.keptBytes, 2 * BLOCK_BYTES);
  await assert.rejects(
    kedge(b, "undo", "db", "restore", file.path),
    /Secondary/,
  );
  await assert.rejects(
    kedge(b, "undo", "db", "restore", "nope"),
    /no such undo file: .*nope[^]*next: "kedge volume undo db"/,
  );
  assert.match(await kedge(b, "resolve", "db"), /^The two are connected: /);
  await kedge(b, "up", "db"); // it is
  await kedge(b, "promote", "db");
  await kedge(b, "undo", "db", "restore", file.path);
  assert.equal(await read(b, 7), 0xbb);
  assert.equal(await read(b, 3), 0);
  await eventually(async () => await read(a, 7) === 0xbb, {
    what: "what was restored to reach the peer",
  });
});
