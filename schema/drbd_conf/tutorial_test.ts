import assert from "node:assert/strict";
import { parseDrbdConf } from "./parse.ts";
import { ParseError } from "./errors.ts";
import { resolveResource, resourcesOn } from "./resolve.ts";
import { filesFrom, TUTORIAL_FILES } from "./tutorial_fixture.ts";

const readFiles = filesFrom(TUTORIAL_FILES);
const parse = () => parseDrbdConf("/etc/drbd.conf", readFiles);

Deno.test("the tutorial's files resolve to what they mean", () => {
  const conf = parse();
  const mysql = resolveResource(conf, {
    host: "ha-node1",
    resourceName: "mysql",
  });
  assert.deepEqual(mysql.definedAt, { file: "/etc/drbd.d/mysql.res", line: 1 });
  assert.deepEqual(mysql.self, {
    name: "ha-node1",
    kind: "on",
    nodeId: 0,
    address: { family: "ipv4", ip: "192.168.8.51", port: 7789 },
  });
  assert.equal(mysql.volumes.length, 1);
  const [volume] = mysql.volumes;
  assert.equal(volume.minor, 1);
  assert.equal(volume.device, "/dev/drbd1");
  assert.equal(volume.disk, "/dev/data/mysql");
  assert.deepEqual(volume.metaDisk, { kind: "internal" });
  assert.equal(volume.options.onIoError, "detach");
  const [peer] = mysql.peers;
  assert.ok(peer);
  assert.equal(peer.name, "ha-node2");
  assert.equal(peer.nodeId, 1);
  assert.deepEqual(peer.paths, [{
    local: { family: "ipv4", ip: "192.168.8.51", port: 7789 },
    remote: { family: "ipv4", ip: "192.168.8.52", port: 7789 },
  }]);
  assert.equal(peer.net.protocol, "C");
  assert.equal(peer.net.verifyAlg, "sha1");
  assert.equal(peer.net.allowTwoPrimaries, true);
  assert.equal(peer.volumes[0]?.resync.resyncRateBytesPerS, 1024 ** 3);
  assert.equal(
    mysql.handlers["local-io-error"],
    "/usr/lib/drbd/notify-io-error.sh; /usr/lib/drbd/notify-emergency-shutdown.sh; echo o > /proc/sysrq-trigger ; halt -f",
  );
});

Deno.test("the tutorial's defaults are those of DRBD 8.4", () => {
  const { net } = resolveResource(parse(), {
    host: "ha-node2",
    resourceName: "mysql",
  });
  assert.equal(net.timeoutMs, 6000);
  assert.equal(net.pingTimeoutMs, 500);
  assert.equal(net.pingIntMs, 10_000);
  assert.equal(net.connectIntMs, 10_000);
  assert.equal(net.koCount, 7);
  assert.equal(net.afterSb0pri, "disconnect");
  assert.equal(net.fencing, "dont-care");
});

Deno.test("the tutorial's line without '#' is skipped with a warning that quotes it", () => {
  const [warning] = parse().warnings;
  assert.equal(warning?.code, "prose-skipped");
  assert.equal(warning?.file, "/etc/drbd.d/mysql.res");
  assert.equal(warning?.line, 12);
  assert.match(warning?.text ?? "", /drbd1使用的磁盘分区为"mysql"$/);
});

Deno.test("strict refuses the tutorial's line without '#', in DRBD's words", () => {
  assert.throws(
    () => parseDrbdConf("/etc/drbd.conf", readFiles, { strict: true }),
    (error) => {
      assert.ok(error instanceof ParseError);
      assert.equal(error.exitCode, 10);
      assert.equal(
        error.message,
        "/etc/drbd.d/mysql.res:12: Parse error: 'disk | device | address | " +
          "meta-disk | flexible-meta-disk' expected,\n\tbut got 'drbd1'",
      );
      return true;
    },
  );
});

Deno.test("resourcesOn() names the resources of a host", () => {
  assert.deepEqual(resourcesOn(parse(), { host: "ha-node2" }), ["mysql"]);
  assert.deepEqual(resourcesOn(parse(), { host: "other" }), []);
});
