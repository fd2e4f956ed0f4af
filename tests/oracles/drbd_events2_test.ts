/**
 * The lines of events2 beside those of the instrumented drbdsetup of 9.34: the
 * same notifications, in all four styles.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  appearLine,
  changeLine,
  destroyLine,
  type EventStyle,
  type Fields,
  type Thing,
} from "../../node-agent/cli/drbdadm/events_text.ts";
import { say } from "../helpers/say.ts";
import { oracleFolder } from "./vectors.ts";

const FOLDER = oracleFolder("drbd/events2");
const STYLES: Readonly<Record<string, EventStyle>> = {
  plain: { statistics: false, full: false, diff: false },
  diff: { statistics: false, full: false, diff: true },
  statistics: { statistics: true, full: false, diff: false },
  full: { statistics: true, full: true, diff: false },
};

const isMissing = !await Deno.stat(FOLDER).then(() => true, () => false);
if (isMissing) say(`SKIPPED: no ${FOLDER} (set KEDGE_ORACLES)`);

const RESOURCE = { name: "some-resource" };
const PEER = { ...RESOURCE, "peer-node-id": "1", "conn-name": "some-peer" };

const resource: Thing = {
  type: "resource",
  keys: RESOURCE,
  fields: {
    "role": "Secondary",
    "suspended": "no",
    "force-io-failures": "no",
    "write-ordering": "none",
    "may_promote": "no",
    "promotion_score": "0",
  },
};
const device: Thing = {
  type: "device",
  keys: { ...RESOURCE, volume: "0", minor: "1000" },
  fields: {
    "backing_dev": "none",
    "disk": "Diskless",
    "client": "no",
    "open": "no",
    "quorum": "yes",
    "size": "5",
    "read": "10",
    "written": "15",
    "al-writes": "40",
    "bm-writes": "50",
    "upper-pending": "60",
    "lower-pending": "70",
    "al-suspended": "no",
    "blocked": "no",
  },
};
const connection: Thing = {
  type: "connection",
  keys: PEER,
  fields: {
    "connection": "StandAlone",
    "role": "Unknown",
    "congested": "no",
    "ap-in-flight": "10",
    "rs-in-flight": "20",
  },
};
const peerDevice: Thing = {
  type: "peer-device",
  keys: { ...PEER, volume: "0" },
  fields: {
    "replication": "Off",
    "peer-disk": "DUnknown",
    "peer-client": "no",
    "resync-suspended": "no",
    "received": "5",
    "sent": "10",
    "out-of-sync": "0",
    "pending": "30",
    "unacked": "40",
  },
};
const path: Thing = {
  type: "path",
  keys: {
    ...PEER,
    local: "ipv4:1.2.3.4:7789",
    peer: "ipv4:5.6.7.8:7790",
  },
  fields: { established: "no" },
};
const ALL = [resource, device, connection, peerDevice, path];

/** A script: what is told, one after the other. */
class Script {
  readonly lines: string[] = ["exists -"];

  constructor(readonly style: EventStyle) {}

  create(...things: Thing[]): void {
    for (const thing of things) {
      this.lines.push(appearLine("create", thing, this.style));
    }
  }

  /** Change a thing; returns it as it is then. */
  change(thing: Thing, fields: Fields): Thing {
    const after = { ...thing, fields: { ...thing.fields, ...fields } };
    const line = changeLine(thing, after, this.style);
    if (line !== undefined) this.lines.push(line);
    return after;
  }

  destroy(...things: Thing[]): void {
    this.lines.push(...things.map(destroyLine));
  }
}

const attached = { "backing_dev": "/dev/sda", "disk": "UpToDate" };
const promotable = { "may_promote": "yes", "promotion_score": "10101" };

/** Scripts by the name of their golden files. */
const SCRIPTS: Readonly<Record<string, (script: Script) => void>> = {
  "events2-resource-create-destroy"(script) {
    script.create(resource);
    script.destroy(resource);
  },
  "events2-all-create-destroy"(script) {
    script.create(...ALL);
    script.destroy(...ALL.toReversed());
  },
  "events2-all-create-change"(script) {
    script.create(...ALL);
    const one = script.change(resource, promotable);
    script.change(device, attached);
    script.change(path, { established: "yes" });
    script.change(connection, { connection: "Connected", role: "Secondary" });
    const two = script.change(one, { "promotion_score": "10102" });
    script.change(peerDevice, {
      "replication": "Established",
      "peer-disk": "UpToDate",
    });
    script.change(two, { role: "Primary", "may_promote": "no" });
  },
  "events2-sync"(script) {
    script.create(...ALL);
    script.change(resource, promotable);
    script.change(device, attached);
    script.change(path, { established: "yes" });
    script.change(connection, { connection: "Connected", role: "Secondary" });
    script.change(peerDevice, {
      "replication": "SyncSource",
      "peer-disk": "Inconsistent",
      "done": "37.50",
      "out-of-sync": "2500",
      "dbdt1": "0.24",
      "eta": "10",
    });
  },
};

for (const [name, play] of Object.entries(SCRIPTS)) {
  for (const [styleName, style] of Object.entries(STYLES)) {
    Deno.test({
      name: `${name}, ${styleName}`,
      ignore: isMissing,
      fn() {
        const script = new Script(style);
        play(script);
        const golden = Deno.readTextFileSync(
          `${FOLDER}/${name}.${styleName}.expected`,
        );
        assert.deepEqual(script.lines, golden.trimEnd().split("\n"));
      },
    });
  }
}
