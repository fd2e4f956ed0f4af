/**
 * The first half of DRBD's tutorial with real processes: metadata, the first
 * Primary, the first resync, a switch-over, and the end.
 *
 * @module
 */

import assert from "node:assert/strict";
import { drbdPair } from "../helpers/drbdadm_hosts.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;

// 15 s
Deno.test("drbdadm: create-md, up, primary, switch over, down", async () => {
  await using scope = new Scope();
  const [one, two] = await drbdPair(scope, { diskBytes: 16 * MIB });

  const created = await one.drbdadm("create-md", "mysql");
  assert.equal(created.code, 0, created.stderr);
  assert.match(created.stdout, /New drbd meta data block successfully created/);
  assert.equal((await two.drbdadm("create-md", "all")).code, 0);
  const again = await one.drbdadm("create-md", "mysql");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /stdin not a TTY, not waiting for confirmation/);
  assert.match(again.stdout, /Operation cancelled\./);
  assert.equal((await one.drbdadm("create-md", "--force", "mysql")).code, 0);

  assert.equal(await one.ok("role", "mysql"), "Unconfigured");
  assert.equal(await one.ok("dstate", "mysql"), "Inconsistent/DUnknown");

  const up = await one.drbdadm("up", "mysql");
  assert.equal(up.code, 0, up.stderr);
  assert.match(up.stderr, /mirror daemon started, log .*mirror\.log/);
  assert.equal(await one.ok("role", "mysql"), "Secondary/Unknown");
  assert.equal(await one.ok("cstate", "mysql"), "WFConnection");
  assert.equal(await one.ok("dstate", "mysql"), "Inconsistent/DUnknown");

  const tooEarly = await one.drbdadm("primary", "mysql");
  assert.equal(tooEarly.code, 17);
  assert.equal(
    tooEarly.stderr,
    "mysql: State change failed: (-2) Need access to UpToDate data\n" +
      "Command 'drbdsetup primary 1' terminated with exit code 17\n",
  );
  await one.ok("--", "--force", "primary", "mysql");
  assert.equal(await one.ok("dstate", "mysql"), "UpToDate/DUnknown");

  await two.ok("up", "all");
  await one.until("dstate", "UpToDate/UpToDate");
  await two.until("cstate", "Connected");
  const proc = await one.run("kedge", "proc-drbd");
  assert.match(
    proc.stdout,
    /^ 1: cs:Connected ro:Primary\/Secondary ds:UpToDate\/UpToDate C r-----$/m,
  );

  const second = await two.drbdadm("primary", "mysql");
  assert.equal(second.code, 11);
  assert.match(second.stderr, /\(-1\) Multiple primaries not allowed/);
  await one.ok("secondary", "mysql");
  await two.ok("primary", "mysql");
  assert.equal(await two.ok("role", "mysql"), "Primary/Secondary");
  assert.equal(await one.ok("role", "mysql"), "Secondary/Primary");

  await one.ok("disconnect", "mysql");
  const alone = await one.drbdadm("disconnect", "mysql");
  assert.equal(alone.code, 10);
  assert.match(
    alone.stderr,
    /^mysql: Failure: \(162\) Invalid configuration request\nadditional info from kernel:\nunknown connection\nCommand 'drbdsetup disconnect ipv4:127\.0\.0\.1:\d+ ipv4:127\.0\.0\.2:\d+' terminated with exit code 10\n$/,
  );
  await two.ok("down", "mysql");
  await one.ok("down", "all");
  await one.ok("down", "all");
  assert.equal(await one.ok("role", "mysql"), "Unconfigured");
});
