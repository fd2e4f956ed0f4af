import assert from "node:assert/strict";
import { encodeFileId, encodeFileName } from "@kedge/schema/file-id";
import { NewNames } from "./new_names.ts";

function nameOf(createdS: number): string {
  const name = encodeFileName({
    origin: 1,
    createdS,
    sizeBytes: 3,
    crc32: 7,
    appender: false,
    random: 1,
    digits: 2,
    extension: "",
  });
  return encodeFileId({ group: "g", pathIndex: 0, high: 0, low: 0 }, name);
}

class Rig {
  readonly known = new Set<string>();
  asked = 0;
  readonly names = new NewNames({
    sinceS: 100,
    isKnown: (id) => {
      this.asked++;
      return this.known.has(id);
    },
  });

  store(id: string): void {
    this.known.add(id);
    this.names.release(id);
  }
}

Deno.test("NewNames gives a name out once, before and after it is stored", () => {
  for (const second of [100, 101]) {
    const rig = new Rig();
    const id = nameOf(second);
    assert(rig.names.take(id));
    assert(!rig.names.take(id));
    rig.store(id);
    assert(!rig.names.take(id));
  }
});

Deno.test("NewNames asks the index only for seconds that may have been used", () => {
  const rig = new Rig();
  assert(rig.names.take(nameOf(100)), "the first second of the run");
  assert.equal(rig.asked, 1);
  assert(rig.names.take(nameOf(101)));
  assert(rig.names.take(nameOf(105)));
  assert.equal(rig.asked, 1);
});

Deno.test("NewNames remembers names when the clock is set back and forth", () => {
  const rig = new Rig();
  const [stored, onItsWay] = [nameOf(101), nameOf(102)];
  assert(rig.names.take(stored));
  rig.store(stored);
  assert(rig.names.take(onItsWay));
  assert(rig.names.take(nameOf(103)));
  assert(!rig.names.take(stored));
  assert(!rig.names.take(onItsWay));
  assert(!rig.names.take(nameOf(103)));
  rig.known.add(nameOf(99));
  assert(!rig.names.take(nameOf(99)), "of an earlier run");
});
