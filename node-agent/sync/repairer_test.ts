import assert from "node:assert/strict";
import type { FileEntry } from "@kedge/schema/change";
import { eventually } from "../../tests/helpers/eventually.ts";
import type { FetchOutcome } from "../ports.ts";
import { Repairer } from "./repairer.ts";

/** A repairer over damaged files, of which only some are to be had. */
class Rig {
  readonly asked: string[] = [];
  readonly #damaged: Set<string>;
  readonly repairer: Repairer;
  #nowMs = 0;
  /** What is answered for files that nobody has. */
  otherwise: (id: string) => FetchOutcome = () => ({ kind: "absent" });

  constructor(count: number, has: (id: string) => boolean) {
    const ids = Array.from({ length: count }, (_, i) => `f${1000 + i}`);
    this.#damaged = new Set(ids);
    this.repairer = new Repairer({
      log: { damaged: (limit, after) => this.#list(limit, after) },
      logger: { info() {}, warn() {} },
      fetch: (id) => {
        this.asked.push(id);
        if (!has(id)) return Promise.resolve(this.otherwise(id));
        this.#damaged.delete(id);
        return Promise.resolve<FetchOutcome>({
          kind: "kept",
          entry: entry(id),
        });
      },
    });
  }

  get damaged(): readonly string[] {
    return [...this.#damaged];
  }

  #list(limit: number, after = ""): Promise<FileEntry[]> {
    const found = this.damaged.filter((id) => id > after).slice(0, limit);
    return Promise.resolve(found.map(entry));
  }

  /** Let so much time pass, then one look. */
  async look(passMs: number): Promise<readonly string[]> {
    const before = this.asked.length;
    this.#nowMs += passMs;
    this.repairer.tick(this.#nowMs);
    let last = -1;
    await eventually(() => {
      const isQuiet = last === this.asked.length;
      last = this.asked.length;
      return isQuiet;
    }, { what: "the end of the look", pauseMs: 5 });
    return this.asked.slice(before);
  }
}

function entry(id: string): FileEntry {
  return {
    id,
    state: "present",
    epoch: 1,
    version: 1,
    origin: 1,
    sizeBytes: 1,
    crc32: 0,
    sha256: null,
    type: null,
    name: null,
    meta: {},
    createdS: 0,
    appender: false,
    master: null,
  };
}

Deno.test("Repairer comes to files behind many that nobody has", async () => {
  const rig = new Rig(200, (id) => id >= "f1190");
  for (let i = 0; i < 4; i++) await rig.look(5000);
  assert.equal(rig.repairer.repaired, 10);
  assert.equal(rig.damaged.length, 190);
  assert.equal(new Set(rig.asked).size, 200);
  assert.equal(rig.asked.length, 200, "nothing is asked for twice so soon");
});

Deno.test("Repairer asks ever less often for what nobody has", async () => {
  const rig = new Rig(1, () => false);
  const timesMs: number[] = [];
  for (let atMs = 5000; atMs <= 16 * 60_000; atMs += 5000) {
    if ((await rig.look(5000)).length > 0) timesMs.push(atMs);
  }
  const [first = 0] = timesMs;
  assert.deepEqual(
    timesMs.map((atMs) => (atMs - first) / 60_000),
    [0, 1, 3, 7, 15],
  );
});

Deno.test("Repairer passes over what is not due without waiting for it", async () => {
  const rig = new Rig(100, (id) => id === "f1099");
  assert.equal((await rig.look(5000)).length, 64);
  assert.equal((await rig.look(5000)).length, 36);
  assert.equal(rig.repairer.repaired, 1);
  assert.deepEqual(await rig.look(5000), []);
  assert.equal((await rig.look(60_000)).length, 64);
});

Deno.test("Repairer asks soon again for what had no place here", async () => {
  let isWritable = false;
  const rig = new Rig(3, () => isWritable);
  rig.otherwise = (id) => ({
    ...{ kind: "elsewhere", entry: entry(id), node: 2 },
    why: "no store path here can be written",
  });
  assert.equal((await rig.look(5000)).length, 3);
  isWritable = true; // the disk was replaced
  assert.equal((await rig.look(5000)).length, 3);
  assert.equal(rig.repairer.repaired, 3);
});
