/**
 * `resize` and `check-resize` as typed, with real processes and disks in files:
 * what they say, to people and to scripts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { NbdWriter } from "../../node-agent/cli/volume/nbd_writer.ts";
import { Child } from "../helpers/child.ts";
import { type DrbdHost, drbdPair } from "../helpers/drbdadm_hosts.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;

// 8 s
Deno.test("drbdadm: resize, check-resize, and the events of it", async () => {
  await using scope = new Scope();
  const [one, two] = await pairInSync(scope);
  const events = Child.start(scope, {
    command: [
      one.path("drbdadm"),
      ...["-c", one.place.config, "events2", "--statistics"],
    ],
    env: one.env,
  });
  await events.line(/exists -$/);
  await enlarge(16, one, two);
  const json = await kedge(two, "resize", "mysql", "--json");
  const [{ sizeBytes }] = JSON.parse(json.stdout).volumes;
  assert.ok(sizeBytes > 15 * MIB && sizeBytes < 16 * MIB, `${sizeBytes}`);
  await events.line(
    new RegExp(`change device .* size:${sizeBytes / 1024} read:`),
  );
  await events.stop("SIGINT");

  await two.ok("wait-sync", "mysql");
  await two.ok("down", "mysql");
  const generations = await two.ok("get-gi", "mysql");
  await enlarge(24, two);
  assert.equal(await two.ok("get-gi", "mysql"), generations);
  const anew = await two.drbdadm("create-md", "mysql");
  assert.equal(anew.code, 1);
  assert.match(anew.stderr, /has grown since .* "drbdadm check-resize" moves/);
  assert.match(
    await two.ok("check-resize", "mysql"),
    /^The metadata of \S+ is at its new end now\.$/,
  );
  assert.equal(await two.ok("check-resize", "mysql"), "");
  assert.equal(await two.ok("get-gi", "mysql"), generations);
  await two.ok("up", "mysql");
  await two.until("dstate", "UpToDate/UpToDate");

  await enlarge(24, one);
  const socket = join(one.place.runDir, "mysql.nbd");
  await using _client = await NbdWriter.open(socket, "mysql");
  const grown = await one.drbdadm("resize", "--size=20M", "mysql");
  assert.equal(grown.code, 0, grown.stderr);
  assert.match(grown.stderr, /NBD clients that are connected keep the old si/);
  const [shown] = JSON.parse(await one.ok("status", "--json", "mysql"));
  assert.equal(shown.devices[0].size, 20 * 1024);
  const shrunk = await kedge(one, "resize", "mysql", "--size", "8M");
  assert.notEqual(shrunk.code, 0);
  assert.match(shrunk.stderr, /\[170\] \(the volume has 20971520 bytes/);
});

async function pairInSync(scope: Scope): Promise<[DrbdHost, DrbdHost]> {
  const pair = await drbdPair(scope, { diskBytes: 8 * MIB });
  const [one, two] = pair;
  for (const host of pair) {
    await host.ok("create-md", "mysql");
    await host.ok("up", "mysql");
  }
  await two.until("cstate", "Connected");
  await one.ok("--", "--clear-bitmap", "new-current-uuid", "mysql");
  await one.ok("primary", "mysql");
  return pair;
}

async function enlarge(mib: number, ...hosts: DrbdHost[]): Promise<void> {
  for (const host of hosts) await Deno.truncate(host.place.disk, mib * MIB);
}

function kedge(host: DrbdHost, ...args: string[]) {
  const config = ["--config", host.place.config];
  return host.run("kedge", "volume", ...args, ...config);
}
