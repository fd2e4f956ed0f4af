import assert from "node:assert/strict";
import {
  type Address,
  type DrbdConf,
  resolveResource,
  type ResourceConfig,
  type VolumeConfig,
} from "@kedge/schema/drbd-conf";
import {
  diskOptions,
  netOptions,
  resourceOptions,
  resyncOptions,
} from "../../schema/drbd_conf/effective.ts";
import { checkStale, Ledger } from "./drbd_conf_differences.ts";
import {
  answer,
  answers,
  isTaken,
  parseSample,
  samples,
} from "./drbd_conf_samples.ts";
import { type Connect, type Options, readUp, type Up } from "./drbd_conf_up.ts";

const SAMPLES = samples();

Deno.test({
  name: "drbd.conf: what 8.4 would run for 'up' is what a resource resolves to",
  ignore: SAMPLES.length === 0,
  fn() {
    const ledger = new Ledger();
    let compared = 0;
    for (const sample of SAMPLES) {
      if (!isTaken(sample.name, "v84")) continue;
      const verdict = parseSample(sample);
      assert.ok("conf" in verdict, sample.name);
      // What only the running system refuses is not refused by a dry run.
      const { conf } = verdict;
      const lenient = { ...conf, warnings: [] };
      for (const file of answers(sample.name)) {
        const host = /^v84\.up\.(.+)\.out$/.exec(file)?.[1];
        if (host === undefined) continue;
        const up = readUp(answer(sample.name, file));
        compareUp({ sample: sample.name, conf: lenient, host, up, ledger });
        compared += up.resources.size;
      }
    }
    assert.ok(compared > 0);
    checkStale(ledger, "up 8.4");
  },
});

interface Comparison {
  readonly sample: string;
  readonly conf: DrbdConf;
  readonly host: string;
  readonly up: Up;
  readonly ledger: Ledger;
}

function compareUp({ sample, conf, host, up, ledger }: Comparison): void {
  const known = new Set(conf.resources.map(({ name }) => name));
  for (const [resourceName, expected] of up.resources) {
    const resource = resolveResource(conf, { host, resourceName });
    const note = `${sample}: ${resourceName} on ${host}`;
    assert.deepEqual(
      new Map(resource.volumes.map(({ volume, minor }) => [volume, minor])),
      expected.minors,
      note,
    );
    const options = resourceOptions([settings(expected.options)]);
    assert.deepEqual(resource.options, options, note);
    for (const volume of resource.volumes) {
      const after = volume.options.resyncAfter;
      const isLost = after !== undefined && !known.has(after.resource);
      const resyncAfter = isLost && ledger.isKnown("up 8.4", "resync-after")
        ? undefined
        : after;
      const ours = { ...volume, options: { ...volume.options, resyncAfter } };
      compareVolume(resource, ours, { up, note });
    }
    const [connect] = expected.connects;
    assert.ok(connect, note);
    compareConnect(resource, connect, { up, ledger, note });
  }
}

function compareVolume(
  resource: ResourceConfig,
  volume: VolumeConfig,
  { up, note }: { readonly up: Up; readonly note: string },
): void {
  const attach = up.attaches.get(volume.minor);
  assert.equal(volume.disk, attach?.disk, note);
  if (attach === undefined) return;
  assert.deepEqual(volume.metaDisk, attach.metaDisk, note);
  const options = settings(attach.options, up);
  assert.deepEqual(volume.options, diskOptions([options]), note);
  for (const peer of resource.peers) {
    const own = peer.volumes.find((each) => each.volume === volume.volume);
    assert.deepEqual(own?.resync, resyncOptions([options]), note);
  }
}

function compareConnect(
  resource: ResourceConfig,
  connect: Connect,
  { up, ledger, note }: {
    readonly up: Up;
    readonly ledger: Ledger;
    readonly note: string;
  },
): void {
  const [peer] = resource.peers;
  if (peer === undefined) {
    assert.equal(connect.remote, "N/A", note);
    return;
  }
  const [path] = peer.paths;
  assert.equal(short(path.local), connect.local, note);
  // Towards its own proxy, a host connects to its own address.
  const isProxy = path.local.ip === "127.0.0.1";
  if (!isProxy || !ledger.isKnown("up 8.4", "proxy")) {
    assert.equal(short(path.remote), connect.remote, note);
  }
  const [volume] = resource.volumes;
  const attach = up.attaches.get(volume.minor)?.options ?? {};
  const net = netOptions([settings(connect.options)], [settings(attach, up)]);
  assert.deepEqual(peer.net, net, note);
}

function short({ family, ip, port }: Address): string {
  return `${family}:${ip}:${port}`;
}

/** Options of a command as a section; the last of equal ones counts. */
function settings(options: Options, up?: Up) {
  return Object.entries(options).map(([name, value]) => ({
    name,
    values: [name === "resync-after" ? volumeOf(value, up) : value],
    file: "up",
    line: 0,
  }));
}

/** 8.4 turns a resource name into a minor; and back. */
function volumeOf(minor: string, up: Up | undefined): string {
  for (const [name, { minors }] of up?.resources ?? []) {
    for (const [volume, own] of minors) {
      if (own === Number(minor)) return `${name}/${volume}`;
    }
  }
  return minor;
}
