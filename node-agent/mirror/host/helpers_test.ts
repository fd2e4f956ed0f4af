/**
 * What handlers are told, what their exit codes become, and which are not run.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  parseDrbdText,
  resolveResource,
  type ResourceConfig,
} from "@kedge/schema/drbd-conf";
import { environmentOf, isHeldBack, runHandler } from "./helpers.ts";

const CONF = `resource r0 {
  handlers {
    split-brain "exit 5";
    pri-lost "exit";
    fence-peer "/no/such/file";
    pri-on-incon-degr "reboot -f";
  }
  volume 0 { device minor 7; disk /dev/sda7; meta-disk internal; }
  volume 3 { device minor 8; disk /dev/sda8; meta-disk internal; }
  on alice { address ipv4 10.0.0.1:7789; }
  on bob { address PEER_ADDRESS; }
}`;

function configOf(peerAddress = "ipv4 10.0.0.2:7789"): ResourceConfig {
  const text = CONF.replace("PEER_ADDRESS", peerAddress);
  const file = parseDrbdText(text, { file: "/etc/drbd.d/r0.res" });
  return resolveResource(file, { host: "alice", resourceName: "r0" });
}

const VOLUME = { volume: 3, minor: 8, paths: { disk: "/dev/sda8" } };

Deno.test("a handler has every variable that DRBD 8.4 gives", () => {
  assert.deepEqual(environmentOf(configOf(), VOLUME), {
    DRBD_RESOURCE: "r0",
    DRBD_VOLUME: "3",
    DRBD_MINOR: "8",
    DRBD_LL_DISK: "/dev/sda8",
    DRBD_PEER: "bob",
    DRBD_PEERS: "bob",
    DRBD_PEER_AF: "ipv4",
    DRBD_PEER_ADDRESS: "10.0.0.2",
    DRBD_CONF: "/etc/drbd.d/r0.res",
  });
});

Deno.test("a volume without a disk, and a peer at an IPv6 address", () => {
  const config = configOf("ipv6 [fd01::2]:7789");
  const environment = environmentOf(config, { ...VOLUME, paths: undefined });
  assert.equal(environment["DRBD_LL_DISK"], "");
  assert.equal(environment["DRBD_PEER_AF"], "ipv6");
  assert.equal(environment["DRBD_PEER_ADDRESS"], "fd01::2");
});

for (
  const [name, exitCode] of [
    ["split-brain", 5],
    ["pri-lost", 0],
    ["fence-peer", 127],
    ["initial-split-brain", 0], // not configured
    ["pri-on-incon-degr", 127], // held back
  ] as const
) {
  Deno.test(`the handler ${name} ends with ${exitCode}`, async () => {
    assert.equal(await runHandler(configOf(), VOLUME, name), exitCode);
  });
}

Deno.test("a handler that runs has these variables", async () => {
  const file = await Deno.makeTempFile();
  try {
    const line = `env | grep ^DRBD_ | sort >${file}`;
    const config = { ...configOf(), handlers: { "out-of-sync": line } };
    assert.equal(await runHandler(config, VOLUME, "out-of-sync"), 0);
    const lines = Object.entries(environmentOf(config, VOLUME))
      .map(([name, value]) => `${name}=${value}\n`).toSorted();
    assert.equal(await Deno.readTextFile(file), lines.join(""));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("a handler that would restart the host is held back", () => {
  const usual = "/usr/lib/drbd/notify-pri-on-incon-degr.sh; " +
    "echo b > /proc/sysrq-trigger ; reboot -f";
  assert.ok(isHeldBack(usual));
  assert.ok(isHeldBack("/sbin/poweroff"));
});

Deno.test("other handlers are run", () => {
  assert.ok(!isHeldBack("/usr/lib/drbd/notify-split-brain.sh root"));
});
