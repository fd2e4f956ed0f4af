/**
 * The commands beyond the tutorial, with real processes: status, events,
 * waits, adjust, metadata, refusals, and the daemon's own commands.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Child } from "../helpers/child.ts";
import { type DrbdHost, drbdPair } from "../helpers/drbdadm_hosts.ts";
import { eventually } from "../helpers/eventually.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;

async function syncedPair(
  scope: Scope,
  statements = "",
): Promise<[DrbdHost, DrbdHost]> {
  const pair = await drbdPair(scope, { diskBytes: 8 * MIB, statements });
  const [one, two] = pair;
  for (const host of pair) {
    await host.ok("create-md", "mysql");
    await host.ok("up", "mysql");
  }
  await one.ok("--", "--overwrite-data-of-peer", "primary", "mysql");
  await two.ok("wait-sync", "mysql");
  await one.until("dstate", "UpToDate/UpToDate");
  return pair;
}

// 25 s
Deno.test("drbdadm: status, events2, generations, refusals, adjust", async () => {
  await using scope = new Scope();
  const [one, two] = await syncedPair(scope, "net { allow-two-primaries; }");

  assert.equal(
    await one.ok("status", "mysql"),
    `mysql role:Primary
  disk:UpToDate open:no
  ha-node2 role:Secondary
    peer-disk:UpToDate`,
  );
  const [json] = JSON.parse(await two.ok("status", "--json"));
  assert.equal(json.connections[0]["peer-role"], "Primary");
  assert.match(
    await one.ok("get-gi", "mysql"),
    /^[0-9A-F]{16}:0{16}:[0-9A-F]{16}:[0-9A-F]{16}:1:1:1:1:0:0:0$/,
  );
  const inUse = await one.drbdadm("wipe-md", "--force", "mysql");
  assert.equal(inUse.code, 20);
  assert.match(inUse.stderr, /^Device '1' is configured!/);

  const second = await two.drbdadm("primary", "mysql");
  assert.equal(second.code, 11);
  assert.match(second.stderr, /dual-primary is not available yet/);

  const events = Child.start(scope, {
    command: [
      one.path("drbdadm"),
      ...["-c", one.place.config, "events2", "--timestamps"],
    ],
    env: one.env,
  });
  await events.line(/exists -$/);
  await one.ok("secondary", "mysql");
  await events.line(
    /^\d{4}-\d\d-\d\dT\S+ change resource name:mysql role:Secondary may_promote:yes promotion_score:10102$/,
  );
  await two.ok("disconnect", "mysql");
  await events.line(/change connection .* connection:Connecting/);
  await one.ok("down", "mysql");
  await events.line(/destroy resource name:mysql$/);
  await events.stop("SIGINT");

  assert.equal(await one.ok("dstate", "mysql"), "Consistent/DUnknown");
  await one.ok("outdate", "mysql");
  assert.equal(await one.ok("dstate", "mysql"), "Outdated/DUnknown");
  await one.ok("up", "mysql");
  const outdated = await one.drbdadm("primary", "mysql");
  assert.equal(outdated.code, 17);
  const waited = await one.drbdadm("wait-connect", "--wfc-timeout=1", "mysql");
  assert.equal(waited.code, 5);
  assert.match(
    waited.stderr,
    /^degr-wfc-timeout implicitly set to wfc-timeout \(1s\)$/m,
  );
  await two.ok("adjust", "mysql");
  await one.ok("wait-connect", "mysql");
  await one.until("dstate", "UpToDate/UpToDate");
});

// 14 s
Deno.test("drbdadm adjust changes what runs, on a Primary too", async () => {
  await using scope = new Scope();
  const [one, two] = await syncedPair(scope, "net { timeout 60; }");
  const { config } = one.place;
  const text = await Deno.readTextFile(config);
  const changed = text.replace("sha1", "md5")
    .replace("timeout 60;", "timeout 70; shared-secret other;");
  await Deno.writeTextFile(config, changed);
  assert.match(
    await one.ok("-d", "adjust", "mysql"),
    /^drbdsetup net-options ipv4:\S+ ipv4:\S+ --set-defaults .*--verify-alg=md5/,
  );
  const adjusted = await one.drbdadm("adjust", "mysql");
  assert.equal(adjusted.code, 0, adjusted.stderr);
  assert.match(
    adjusted.stderr,
    /shared-secret counts from the next connection/,
  );
  assert.match(
    await one.ok("status", "mysql"),
    /after-reconnect:shared-secret$/m,
  );
  assert.equal(await one.ok("-d", "adjust", "mysql"), "");
  assert.equal(await one.ok("cstate", "mysql"), "Connected");
  const early = await one.drbdadm("verify", "mysql");
  assert.equal(early.code, 11);
  await two.ok("net-options", "mysql");
  await one.ok("adjust", "--reconnect", "mysql");
  assert.doesNotMatch(await one.ok("status", "mysql"), /after-reconnect/);
  await one.ok("verify", "mysql");
  // A device of another number is another device.
  await Deno.writeTextFile(config, changed.replaceAll("minor 1", "minor 7"));
  const refused = await one.drbdadm("adjust", "mysql");
  assert.equal(refused.code, 10);
  assert.match(refused.stderr, /volumes\.0\.minor: 1 -> 7/);
  assert.match(refused.stderr, /drbdadm secondary mysql/);
});

// 12 s
Deno.test("drbdadm: two volumes of one resource, together and alone", async () => {
  await using scope = new Scope();
  const diskBytes = 8 * MIB;
  const [one, two] = await drbdPair(scope, { diskBytes, hasSecond: true });
  for (const host of [one, two]) {
    await host.ok("create-md", "mysql/0");
    await host.ok("create-md", "mysql/1");
    await host.ok("up", "mysql");
  }
  await one.until("cstate", "Connected\nConnected");
  await one.ok("primary", "--force", "mysql/1");
  assert.equal(
    await one.ok("role", "mysql"),
    "Secondary/Secondary\nPrimary/Secondary",
  );
  await one.ok("--", "--force", "primary", "all");
  await one.until("dstate", "UpToDate/UpToDate\nUpToDate/UpToDate");
  await one.ok("detach", "mysql/1");
  assert.equal(await one.ok("dstate", "mysql/1"), "Diskless/UpToDate");
  assert.deepEqual(JSON.parse(await one.ok("--json", "dstate", "mysql/0")), [{
    resource: "mysql",
    volume: 0,
    minor: 1,
    dstate: "UpToDate/UpToDate",
  }]);
  const nothing = await one.drbdadm("role", "mysql/2");
  assert.equal(nothing.code, 1);
  await one.ok("adjust", "mysql");
  await one.until("dstate", "UpToDate/UpToDate\nUpToDate/UpToDate");
  const { stdout } = await one.run("kedge", "volume", "list", "--json");
  const [{ exports }] = JSON.parse(stdout);
  assert.match(exports[0], /^nbd\+unix:\/\/\/mysql%2F0\?socket=/);
  assert.match(exports[1], /^nbd\+unix:\/\/\/mysql%2F1\?socket=/);
});

// 8 s
Deno.test("kedge mirror: two starts are one daemon; up without metadata says what to do", async () => {
  await using scope = new Scope();
  const [one] = await drbdPair(scope, { diskBytes: 8 * MIB });
  const start = () => one.run("kedge", "mirror", "start", "--json");
  const started = (await Promise.all([start(), start()])).map(({ stdout }) =>
    JSON.parse(stdout)
  );
  assert.equal(started[0].pid, started[1].pid);
  assert.deepEqual(started.map((each) => each.started).sort(), [false, true]);

  const up = await one.drbdadm("up", "mysql");
  assert.equal(up.code, 10);
  assert.match(
    up.stderr,
    /\(119\) No valid meta-data signature found\.\n\n\t==> Use 'drbdadm create-md mysql'/,
  );
  assert.equal(await one.ok("cstate", "mysql"), "WFConnection");
  const stopped = await one.run("kedge", "mirror", "stop", "--json");
  assert.deepEqual(JSON.parse(stopped.stdout), { stopped: true });
  const again = await one.run("kedge", "mirror", "status");
  assert.equal(again.code, 4);
  assert.match(again.stderr, /kedge mirror start/);
  await eventually(
    () =>
      Deno.stat(join(one.place.runDir, "mirror.sock")).then(
        () => false,
        () => true,
      ),
    { what: "the socket to go" },
  );
  const failed = await one.run(
    ...["kedge", "mirror", "start", "--tracker", "https://127.0.0.1:8443"],
    ...["--token-file", join(one.place.runDir, "nothing")],
  );
  assert.match(failed.stderr, /ended at once:\n {2}Cannot read the token file/);
  assert.match(failed.stderr, /next: correct that, then again/);
});
