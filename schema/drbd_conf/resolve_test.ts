import assert from "node:assert/strict";
import { hosts, resource } from "./conf_fixture.ts";
import { ParseError } from "./errors.ts";
import { parseDrbdText } from "./parse.ts";
import { resolveResource, resourcesOn } from "./resolve.ts";

/** Resolves r0 (or another) for alice (or another). */
function resolve(text: string, host = "alice", resourceName = "r0") {
  return resolveResource(parseDrbdText(text), { host, resourceName });
}

Deno.test("resolveResource() takes connection over resource over common", () => {
  const text = `common { net { protocol A; ping-int 20; timeout 30; } }
    resource r0 { net { protocol B; ping-int 30; } ${hosts()}
      connection { host alice; host bob; net { protocol C; } } }`;
  const { net, peers: [peer] } = resolve(text);
  assert.equal(net.protocol, "B");
  assert.equal(peer?.net.protocol, "C");
  assert.equal(peer?.net.pingIntMs, 30_000);
  assert.equal(peer?.net.timeoutMs, 3000);
});

Deno.test("resolveResource() converts units", () => {
  const text = resource(`
    net { timeout 61; ping-timeout 7; connect-int 11; sndbuf-size 1M; congestion-fill 1000s; }
    disk { size 2097152s; disk-timeout 600; resync-rate 4096; c-fill-target 24M; c-max-rate 720M; c-min-rate 0; c-plan-ahead 5; c-delay-target 100; al-extents 257; }
    startup { wfc-timeout 120; outdated-wfc-timeout 30; }`);
  const { peers: [peer], volumes: [volume], startup } = resolve(text);
  assert.equal(peer?.net.timeoutMs, 6100);
  assert.equal(peer?.net.pingTimeoutMs, 700);
  assert.equal(peer?.net.connectIntMs, 11_000);
  assert.equal(peer?.net.sndbufSizeBytes, 1_048_576);
  assert.equal(peer?.net.congestionFillBytes, 512_000);
  assert.equal(volume.options.sizeBytes, 1024 ** 3);
  assert.equal(volume.options.diskTimeoutMs, 60_000);
  assert.equal(volume.options.alExtents, 257);
  assert.deepEqual(peer?.volumes[0]?.resync, {
    resyncRateBytesPerS: 4096 * 1024,
    planAheadMs: 500,
    delayTargetMs: 10_000,
    fillTargetBytes: 24 * 1024 ** 2,
    maxRateBytesPerS: 720 * 1024 ** 2,
    minRateBytesPerS: 0,
  });
  assert.equal(startup.wfcTimeoutMs, 120_000);
  assert.equal(startup.degrWfcTimeoutMs, 0);
  assert.equal(startup.outdatedWfcTimeoutMs, 30_000);
});

Deno.test("resolveResource() fills in DRBD's defaults, with units", () => {
  const { peers: [peer], volumes: [volume] } = resolve(resource());
  assert.deepEqual(peer?.volumes[0]?.resync, {
    resyncRateBytesPerS: 250 * 1024,
    planAheadMs: 2000,
    delayTargetMs: 1000,
    fillTargetBytes: 51_200,
    maxRateBytesPerS: 100 * 1024 ** 2,
    minRateBytesPerS: 250 * 1024,
  });
  assert.equal(volume.device, "/dev/drbd1");
  assert.equal(volume.options.alExtents, 1237);
  assert.equal(volume.options.resyncAfter, undefined);
  assert.equal(peer?.net.sharedSecret, undefined);
});

Deno.test("resolveResource() finds fencing in disk and in net", () => {
  const in8 = resolve(resource("disk { fencing resource-only; }"));
  const in9 = resolve(resource("net { fencing resource-and-stonith; }"));
  assert.equal(in8.net.fencing, "resource-only");
  assert.equal(in9.peers[0]?.net.fencing, "resource-and-stonith");
});

Deno.test("resolveResource() inherits volumes and their options", () => {
  const text = `resource r0 {
    disk { al-extents 100; md-flushes no; }
    volume 0 { device /dev/drbd1; disk /dev/a; meta-disk internal; }
    volume 1 { device /dev/drbd2; disk /dev/b; meta-disk /dev/m [1]; disk { al-extents 257; } }
    on alice { address 10.1.1.31:7789; }
    on bob { address 10.1.1.32:7789; volume 1 { disk none; } } }`;
  const alice = resolve(text);
  assert.deepEqual(
    alice.volumes.map(({ minor, disk, options }) => [
      minor,
      disk,
      options.alExtents,
      options.mdFlushes,
    ]),
    [[1, "/dev/a", 100, false], [2, "/dev/b", 257, false]],
  );
  assert.deepEqual(alice.volumes[1]?.metaDisk, {
    kind: "indexed",
    path: "/dev/m",
    index: 1,
  });
  assert.deepEqual(
    alice.peers[0]?.volumes.map(({ hasDisk }) => hasDisk),
    [true, false],
  );
  assert.equal(resolve(text, "bob").volumes[1]?.disk, undefined);
});

Deno.test("resolveResource() numbers hosts by name, whatever their order", () => {
  const sides = hosts().split("\n");
  for (const text of [sides.join("\n"), sides.toReversed().join("\n")]) {
    const r0 = resolve(`resource r0 { ${text} }`);
    assert.equal(r0.self.nodeId, 0);
    assert.equal(r0.peers[0]?.nodeId, 1);
  }
});

Deno.test("resolveResource() finds a floating host by its address", () => {
  const conf = parseDrbdText(`resource r0 { device minor 2; disk /dev/x;
    meta-disk internal; floating 10.5.1.31:7789 { } floating 10.5.1.32:7789 { } }`);
  const identity = { host: "any", addresses: ["127.0.0.1", "10.5.1.32"] };
  assert.deepEqual(resourcesOn(conf, { host: "any" }), []);
  assert.deepEqual(resourcesOn(conf, identity), ["r0"]);
  const r0 = resolveResource(conf, { ...identity, resourceName: "r0" });
  assert.equal(r0.self.name, "10.5.1.32:7789");
  assert.equal(r0.peers[0]?.name, "10.5.1.31:7789");
});

Deno.test("resolveResource() stacks a resource on the device of another", () => {
  const text = `${resource()} resource up {
    stacked-on-top-of r0 { device minor 10; address 10.2.0.1:1; }
    on carol { device minor 10; disk /dev/c; meta-disk internal; address 10.2.0.2:1; } }`;
  const up = resolve(text, "bob", "up");
  assert.equal(up.self.kind, "stacked");
  assert.equal(up.volumes[0].disk, "/dev/drbd1");
  assert.equal(up.peers[0]?.name, "carol");
  assert.equal(resolve(text, "carol", "up").peers[0]?.kind, "stacked");
});

Deno.test("resolveResource() follows paths, ports and meshes of DRBD 9", () => {
  const side = (name: string, id: number) =>
    `on ${name} { node-id ${id}; address 10.0.0.${id}:7000; }`;
  const text = `resource r0 { device minor 1; disk /dev/a; meta-disk internal;
    ${side("a", 1)} ${side("b", 2)} ${side("c", 3)} ${side("d", 4)}
    connection-mesh { hosts a b c; net { protocol A; } }
    connection { host a port 7001; host b; net { protocol B; } }
    connection { path { host a address 10.1.0.1:1; host d address 10.1.0.4:1; }
                 path { host a address 10.2.0.1:1; host d address 10.2.0.4:1; }
                 volume 0 { disk { c-max-rate 1M; } } } }`;
  const { peers } = resolve(text, "a");
  assert.deepEqual(
    peers.map(({ name, net }) => [name, net.protocol]),
    [["b", "B"], ["c", "A"], ["d", "C"]],
  );
  assert.equal(peers[0]?.paths[0].local.port, 7001);
  assert.equal(peers[0]?.paths[0].remote.port, 7000);
  assert.deepEqual(
    peers[2]?.paths.map(({ remote }) => remote.ip),
    ["10.1.0.4", "10.2.0.4"],
  );
  assert.equal(peers[2]?.volumes[0]?.resync.maxRateBytesPerS, 2 ** 20);
  assert.deepEqual(resolve(text, "d").peers.map(({ name }) => name), ["a"]);
});

Deno.test("resolveResource() refuses what the running system would refuse", () => {
  const text = `${resource("disk { al-extents 66; }")}
    resource r1 { ${hosts(2)} }`;
  assert.throws(() => resolve(text), (error) => {
    assert.ok(error instanceof ParseError);
    assert.match(error.message, /^drbd\.conf:2: al-extents 66 is out of range/);
    return true;
  });
  assert.equal(resolve(text, "alice", "r1").name, "r1");
});

Deno.test("resolveResource() refuses a bad value of common for every resource", () => {
  const text = `common { disk { on-io-error explode; } } ${resource()}`;
  assert.throws(() => resolve(text), ParseError);
});

Deno.test("a resource is not for a host that it ignores", () => {
  const conf = parseDrbdText(resource("ignore-on alice;"));
  assert.deepEqual(resourcesOn(conf, { host: "alice" }), []);
  assert.deepEqual(resourcesOn(conf, { host: "bob" }), ["r0"]);
});
