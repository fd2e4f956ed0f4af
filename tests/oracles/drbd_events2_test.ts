/**
 * The lines of events2 beside those of the instrumented drbdsetup of 9.34: the
 * same notifications, in all four styles.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { EventStyle } from "../../node-agent/cli/drbdadm/events_text.ts";
import { say } from "../helpers/say.ts";
import {
  ALL,
  ATTACHED,
  connection,
  derived,
  device,
  path,
  peerDevice,
  resource,
  Script,
  second,
  withFields,
} from "./events2_things.ts";
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

/** Golden scripts that say what there is none of here. */
const SKIPPED: Readonly<Record<string, string>> = {
  "events2-may-promote-quorum": "there is no quorum of two nodes",
  "show-resource": "`drbdsetup show` is not there",
  "show-normal": "`drbdsetup show` is not there",
  "show-2-device": "`drbdsetup show` is not there",
};

const MET = { connection: "Connected", role: "Secondary" };
const GOOD = { "replication": "Established", "peer-disk": "UpToDate" };
const promotable = { "may_promote": "yes", "promotion_score": "10101" };

/** Scripts by the name of their golden files. */
const SCRIPTS: Readonly<Record<string, (script: Script) => void>> = {
  "events2-resource-create-destroy"(script) {
    script.exists();
    script.create(resource);
    script.destroy(resource);
  },
  "events2-all-create-destroy"(script) {
    script.exists();
    script.create(...ALL);
    script.destroy(...ALL.toReversed());
  },
  "events2-all-create-change"(script) {
    script.exists();
    script.create(...ALL);
    const one = script.change(resource, promotable);
    script.change(device, ATTACHED);
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
    script.exists();
    script.create(...ALL);
    script.change(resource, promotable);
    script.change(device, ATTACHED);
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
  "events2-all-create-helper"(script) {
    script.exists();
    script.create(...ALL);
    script.helper("before-resync-target", 1);
  },
  "events2-device-create-destroy"(script) {
    script.exists();
    script.create(resource);
    const both = [device, second];
    const turned = [second, device];
    for (const [made, gone] of [[both, turned], [both, both]] as const) {
      script.create(...made);
      script.destroy(...gone);
    }
    for (const [made, gone] of [[turned, turned], [turned, both]] as const) {
      script.create(...made);
      script.destroy(...gone);
    }
    script.destroy(resource);
  },
  // How drbdsetup puts the kernel's notifications in order is its own matter:
  // of these only the lines are compared.
  "events2-exists-before-create"(script) {
    script.exists(resource, device);
  },
  "events2-create-before-exists"(script) {
    script.exists(resource, device);
  },
  "events2-destroy-before-exists"(script) {
    script.exists();
  },
  "events2-out-of-order"(script) {
    script.exists();
    script.now(resource, device, second, connection);
  },
  "events2-first-out-of-order"(script) {
    script.exists(resource);
    script.now(resource, second, device, connection);
  },
  "events2-change-before-exists"(script) {
    script.exists(resource, device);
    const disk = withFields(device, ATTACHED);
    script.now(derived([disk]), disk);
    script.now(derived([disk], { role: "Primary" }), disk);
  },
  // What follows from the others is worked out as for a real volume.
  "events2-may-promote-peer-data"(script) {
    script.exists();
    script.now(resource, device, connection, peerDevice);
    const met = withFields(connection, MET);
    script.now(resource, device, met, peerDevice);
    const states = { peerRole: "Secondary", peerDisk: "UpToDate" };
    const good = withFields(peerDevice, GOOD);
    script.now(derived([device], states), device, met, good);
  },
  "events2-may-promote-peer-role"(script) {
    script.exists();
    script.now(resource, device, connection, peerDevice);
    const disk = withFields(device, ATTACHED);
    script.now(derived([disk]), disk, connection, peerDevice);
    const met = withFields(connection, MET);
    script.now(derived([disk]), disk, met, peerDevice);
    const primary = withFields(met, { role: "Primary" });
    const states = { peerRole: "Primary" };
    script.now(derived([disk], states), disk, primary, peerDevice);
  },
  "events2-promotion-score-devices"(script) {
    script.exists();
    script.now(resource, device);
    const disk = withFields(device, ATTACHED);
    script.now(derived([disk]), disk);
    script.now(derived([disk, second]), disk, second);
    const other = withFields(second, ATTACHED);
    script.now(derived([disk, other]), disk, other);
  },
  "events2-promotion-score-inconsistent"(script) {
    script.exists();
    script.now(resource, device);
    const disk = withFields(device, { ...ATTACHED, disk: "Inconsistent" });
    script.now(derived([disk]), disk);
    script.now(derived([disk]), disk, connection);
    script.now(derived([disk]), disk, connection, peerDevice);
    const met = withFields(connection, MET);
    script.now(derived([disk]), disk, met, peerDevice);
    const states = { peerRole: "Secondary", peerDisk: "UpToDate" };
    const good = withFields(peerDevice, GOOD);
    script.now(derived([disk], states), disk, met, good);
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

Deno.test({
  name: "every golden script of events2 is played, or skipped for a reason",
  ignore: isMissing,
  fn() {
    const names = [...Deno.readDirSync(FOLDER)].flatMap(({ name }) =>
      /^([^.]+)\.\w+\.expected$/.exec(name)?.[1] ?? []
    );
    for (const [name, why] of Object.entries(SKIPPED)) {
      say(`SKIPPED: ${name}: ${why}`);
    }
    const known = [...Object.keys(SCRIPTS), ...Object.keys(SKIPPED)];
    assert.deepEqual([...new Set(names)].toSorted(), known.toSorted());
  },
});
