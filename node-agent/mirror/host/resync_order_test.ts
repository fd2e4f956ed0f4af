/**
 * Whose resync waits for whose.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { MirrorEvent } from "@kedge/schema/mirror/control-api";
import {
  parseDrbdText,
  resolveResource,
  type ResourceConfig,
} from "@kedge/schema/drbd-conf";
import { UNCONFIGURED_STATE } from "../decisions/mirror_state.ts";
import { ResyncOrder } from "./resync_order.ts";

/** r1 waits for r0, r2 for r1. */
function configs() {
  const resource = (number: number, disk: string) => `
resource r${number} {
  device /dev/drbd${number}; disk /nowhere/${number}; meta-disk internal;
  disk { ${disk} }
  on a { address 127.0.0.1:${7789 + number}; }
  on b { address 127.0.0.2:${7789 + number}; }
}`;
  const text = resource(0, "") + resource(1, "resync-after r0;") +
    resource(2, "resync-after r1;");
  const conf = parseDrbdText(text);
  return new Map(["r0", "r1", "r2"].map((resourceName) => [
    resourceName,
    resolveResource(conf, { host: "a", resourceName }),
  ]));
}

/** r0, which comes after another one. Two files may say it so. */
function firstAfter(resource: string): ResourceConfig {
  const config = configs().get("r0");
  assert.ok(config !== undefined);
  const [volume] = config.volumes;
  const resyncAfter = { resource, volume: 0 };
  const options = { ...volume.options, resyncAfter };
  return { ...config, volumes: [{ ...volume, options }] };
}

class Host {
  readonly configs = configs();
  readonly order = new ResyncOrder(this);
  readonly told: string[] = [];
  readonly warnings: string[] = [];
  readonly options = {
    log: { warn: (text: string) => void this.warnings.push(text) },
  };

  configOf(name: string) {
    return this.configs.get(name);
  }

  pauseForOther(resource: string, volume: number, waits: boolean): void {
    this.told.push(`${resource}/${volume} ${waits ? "waits" : "goes on"}`);
  }

  hear(resource: string, state: Partial<typeof UNCONFIGURED_STATE>): string[] {
    this.told.length = 0;
    const after = { ...UNCONFIGURED_STATE, disk: "UpToDate", ...state };
    const kind: MirrorEvent["kind"] = "change";
    this.order.heard({ atMs: 0, resource, volume: 0, kind, after });
    return [...this.told];
  }
}

Deno.test("a resync waits while one before it in the chain runs", () => {
  const host = new Host();
  host.hear("r0", { connection: "Connected" });
  host.hear("r1", { connection: "Connected" });
  host.hear("r2", { connection: "SyncTarget" });
  assert.deepEqual(host.hear("r0", { connection: "SyncTarget" }), [
    "r1/0 waits",
    "r2/0 waits",
  ]);
  const waiting = { pausedByDependency: true };
  host.hear("r1", { connection: "Connected", ...waiting });
  assert.deepEqual(
    host.hear("r2", { connection: "PausedSyncT", ...waiting }),
    [],
  );
  assert.deepEqual(host.hear("r0", { connection: "Connected" }), [
    "r1/0 goes on",
    "r2/0 goes on",
  ]);
});

Deno.test("nobody waits for a volume that is gone or has no disk", () => {
  const host = new Host();
  host.hear("r0", { connection: "SyncSource" });
  assert.deepEqual(host.hear("r1", { connection: "SyncSource" }), [
    "r1/0 waits",
  ]);
  const waiting = { pausedByDependency: true } as const;
  host.hear("r1", { connection: "PausedSyncS", ...waiting });
  assert.deepEqual(
    host.hear("r0", { connection: "Connected", disk: "Diskless" }),
    [
      "r1/0 goes on",
    ],
  );
  host.hear("r0", { connection: "PausedSyncT", pausedByUser: true });
  host.hear("r1", { connection: "PausedSyncS", ...waiting });
  host.told.length = 0;
  host.order.forget("r0");
  assert.deepEqual(host.told, ["r1/0 goes on"]);
});

Deno.test("a circle of resync-after is refused with DRBD's code", () => {
  const host = new Host();
  assert.equal(host.order.refusal(firstAfter("r2"))?.code, 133);
  assert.equal(host.order.refusal(firstAfter("r0"))?.code, 133);
  assert.equal(host.order.refusal(firstAfter("nobody")), undefined);
});

Deno.test("nobody in a circle that two starts made waits, and it is told once", () => {
  const host = new Host();
  host.configs.set("r0", firstAfter("r2"));
  host.hear("r0", { connection: "SyncTarget" });
  host.hear("r1", { connection: "SyncTarget" });
  host.told.length = 0;
  host.hear("r2", { connection: "SyncTarget" });
  const waiting = {
    connection: "PausedSyncT",
    pausedByDependency: true,
  } as const;
  host.hear("r0", waiting);
  assert.deepEqual(host.hear("r1", waiting), ["r0/0 goes on", "r1/0 goes on"]);
  assert.equal(host.warnings.length, 1);
  assert.match(host.warnings[0] ?? "", /r0\/0, r1\/0, r2\/0 leads in a circle/);
  host.configs.set("r0", firstAfter("nobody"));
  assert.deepEqual(host.hear("r2", { connection: "SyncTarget" }), [
    "r0/0 goes on",
    "r2/0 waits",
  ]);
});
