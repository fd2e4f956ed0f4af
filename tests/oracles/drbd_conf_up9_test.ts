import assert from "node:assert/strict";
import {
  type Address,
  type DrbdConf,
  type PeerConfig,
  resolveResource,
  resourcesOn,
} from "@kedge/schema/drbd-conf";
import { netOptions, resyncOptions } from "../../schema/drbd_conf/effective.ts";
import { checkStale, Ledger } from "./drbd_conf_differences.ts";
import {
  answer,
  answers,
  isTaken,
  parseSample,
  samples,
} from "./drbd_conf_samples.ts";
import { type Options, readCommand } from "./drbd_conf_up.ts";

const SAMPLES = samples();

/** A peer as 9.34 would configure it. */
interface Peer {
  readonly name: string;
  readonly net: Options;
  readonly paths: string[];
  /** Options of the resync by volume. */
  readonly resync: Map<number, Options>;
}

/** Peers by resource and node ID. */
function readPeers(text: string): Map<string, Peer> {
  const peers = new Map<string, Peer>();
  for (const line of text.split("\n")) {
    const { args: [command, resource, id, ...rest], options } = readCommand(
      line,
    );
    const key = `${resource} ${id}`;
    if (command === "new-peer") {
      const { _name: name = "", ...net } = options;
      peers.set(key, { name, net, paths: [], resync: new Map() });
    } else if (command === "new-path") {
      peers.get(key)?.paths.push(rest.join(" "));
    } else if (command === "peer-device-options") {
      peers.get(key)?.resync.set(Number(rest[0]), options);
    }
  }
  return peers;
}

Deno.test({
  name:
    "drbd.conf: the peers that 9.34 would configure are those of a resource",
  ignore: SAMPLES.length === 0,
  fn() {
    const ledger = new Ledger();
    let compared = 0;
    for (const sample of SAMPLES) {
      if (!isTaken(sample.name, "v934")) continue;
      const verdict = parseSample(sample);
      assert.ok("conf" in verdict, sample.name);
      const conf = { ...verdict.conf, warnings: [] };
      for (const file of answers(sample.name)) {
        const host = /^v934\.up\.(.+)\.out$/.exec(file)?.[1];
        if (host === undefined) continue;
        const peers = readPeers(answer(sample.name, file));
        compared += compareHost(conf, host, { peers, ledger });
      }
    }
    assert.ok(compared > 0);
    checkStale(ledger, "up 9.34");
  },
});

/** Compares all peers of a host; how many there were. */
function compareHost(
  conf: DrbdConf,
  host: string,
  { peers, ledger }: {
    readonly peers: ReadonlyMap<string, Peer>;
    readonly ledger: Ledger;
  },
): number {
  for (const resourceName of resourcesOn(conf, { host })) {
    const theirs = [...peers].filter(([key]) =>
      key.startsWith(`${resourceName} `)
    ).map(([, peer]) => peer);
    const resource = resolveResource(conf, { host, resourceName });
    // 'up all' leaves stacked resources out.
    if (resource.self.kind === "stacked") continue;
    const note = `${conf.file}: ${resourceName} on ${host}`;
    assert.equal(resource.peers.length, theirs.length, note);
    for (const [index, peer] of resource.peers.entries()) {
      const twin = theirs.find(({ name }) => name === peer.name) ??
        theirs[index];
      assert.ok(twin, `${note}: ${peer.name}`);
      comparePeer(peer, twin, { ledger, note: `${note}: ${peer.name}` });
    }
  }
  return peers.size;
}

function comparePeer(
  peer: PeerConfig,
  twin: Peer,
  { ledger, note }: { readonly ledger: Ledger; readonly note: string },
): void {
  assert.deepEqual(peer.net, netOptions([settings(twin.net)], []), note);
  // Towards its own proxy, a host connects to its own address.
  const isProxy = peer.address?.ip === "127.0.0.1";
  if (!isProxy || !ledger.isKnown("up 9.34", "proxy")) {
    const paths = peer.paths.map(({ local, remote }) =>
      `${short(local)} ${short(remote)}`
    );
    assert.deepEqual(paths, twin.paths, note);
  }
  for (const { volume, hasDisk, resync } of peer.volumes) {
    const options = twin.resync.get(volume) ?? {};
    if (hasDisk) {
      assert.deepEqual(resync, resyncOptions([settings(options)]), note);
    }
  }
}

function short({ family, ip, port }: Address): string {
  return `${family}:${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}

function settings(options: Options) {
  return Object.entries(options).map(([name, value]) => ({
    name,
    values: [value],
    file: "up",
    line: 0,
  }));
}
