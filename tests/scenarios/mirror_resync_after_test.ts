/**
 * `resync-after`: two resources of two hosts; the second one's resync waits for
 * the first one's, on both nodes.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { parseDrbdText, resolveResource } from "@kedge/schema/drbd-conf";
import { MirrorHost } from "../../node-agent/mirror/host/mirror_host.ts";
import { freePort } from "../helpers/drbdadm_hosts.ts";
import { eventually } from "../helpers/eventually.ts";
import { createMeta, memoryDir } from "../helpers/mirror_pair.ts";
import { Scope } from "../helpers/scope.ts";

const MIB = 1024 * 1024;
const NAMES = ["first", "second"] as const;

Deno.test({
  name: "a resync waits for the one that it comes after",
  async fn() {
    await using scope = new Scope();
    const hosts = await Promise.all([hostOf(scope, "a"), hostOf(scope, "b")]);
    const text = await confOf(scope);
    for (const [index, host] of hosts.entries()) {
      for (const resourceName of NAMES) {
        const self = index === 0 ? "a" : "b";
        const config = resolveResource(parseDrbdText(text), {
          host: self,
          resourceName,
        });
        const none = { exportAddress: undefined, deviceNodes: false };
        equal((await host.create(config, none)).code, 1);
        await must(host, resourceName, { kind: "attach" });
        await must(host, resourceName, {
          kind: "connect",
          discardMyData: false,
          tentative: false,
        });
      }
    }
    const [a] = hosts;
    for (const name of NAMES) {
      await until(hosts, name, ["Connected", "Connected"]);
      await must(a, name, { kind: "primary", force: true });
    }
    await until(hosts, "second", ["PausedSyncS", "PausedSyncT"]);
    deepEqual(await states(hosts, "first"), ["SyncSource", "SyncTarget"]);
    for (const name of NAMES) {
      await until(hosts, name, ["Connected", "Connected"]);
    }
    const { resources } = await a.status();
    const disks = resources.flatMap(({ volumes }) =>
      volumes.map(({ state }) =>
        `${state.peerDisk} ${state.pausedByDependency}`
      )
    );
    deepEqual(disks, ["UpToDate false", "UpToDate false"]);
  },
});

/** 4 MiB take two seconds there. */
async function confOf(scope: Scope): Promise<string> {
  const dir = await memoryDir(scope);
  const port = freePort();
  const resource = (name: string, number: number, disk: string) => {
    const sides = ["a", "b"].map((side, index) => {
      const path = `${dir}/${name}-${side}`;
      using file = Deno.createSync(path);
      file.truncateSync(4 * MIB);
      createMeta(path);
      return `on ${side} { address 127.0.0.${index + 1}:${
        port + number
      }; disk ${path}; }`;
    });
    return `resource ${name} {
  device /dev/drbd${190 + number} minor ${190 + number}; meta-disk internal;
  disk { c-plan-ahead 0; resync-rate 2M; ${disk} }
  ${sides.join("\n  ")}
}`;
  };
  return resource("first", 0, "") +
    resource("second", 1, "resync-after first;");
}

async function hostOf(scope: Scope, name: string): Promise<MirrorHost> {
  const host = new MirrorHost({
    runDir: await scope.tempDir(),
    version: name,
    workerEntry: new URL("../../node-agent/volume_worker.ts", import.meta.url),
    log: { info: () => {}, warn: () => {} },
    deviceNodes: undefined,
    registers: undefined,
  });
  scope.defer(() => host.close());
  return host;
}

async function must(
  host: MirrorHost,
  name: string,
  command: Parameters<MirrorHost["command"]>[1]["command"],
): Promise<void> {
  const reply = await host.command(name, { command });
  equal(reply.code, 1, `${command.kind} ${name}: ${reply.why}`);
}

async function states(
  hosts: readonly MirrorHost[],
  name: string,
): Promise<(string | undefined)[]> {
  const all = await Promise.all(hosts.map((host) => host.status()));
  return all.map(({ resources }) =>
    resources.find(({ resource }) => resource === name)?.volumes[0]?.state
      .connection
  );
}

async function until(
  hosts: readonly MirrorHost[],
  name: string,
  wanted: readonly string[],
): Promise<void> {
  await eventually(
    async () => `${await states(hosts, name)}` === `${wanted}`,
    { what: `${name} ${wanted}`, pauseMs: 20 },
  );
}
