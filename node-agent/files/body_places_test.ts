import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { BodyPlaces, type BodyPlacesParts, type Due } from "./body_places.ts";
import { earlyToken } from "./early_token.ts";
import type { Pending } from "./file_actions.ts";
import { Layout } from "./layout.ts";
import { foreignRecord, someBytes, withDir } from "./store_fixture.ts";

Deno.test("what a transaction moved stays where it was when it is rolled back", async () => {
  await withDir((dir) => {
    const layout = new Layout(`${dir}/d`, [`${dir}/p0`]);
    Deno.mkdirSync(layout.staging(0), { recursive: true });
    const bytes = someBytes(700, 1);
    const facts = { sizeBytes: bytes.length, crc32: crc32(bytes) };
    const token = earlyToken("0123abcd", 1, facts);
    Deno.writeFileSync(layout.staged(0, token), bytes);
    const stored: (Uint8Array | null)[] = [];
    const fenced: number[] = [];
    const places = new BodyPlaces({
      layout,
      bodies: { isDirty: false, hasLost: () => false },
      finisher: {
        unsettled: () => [],
        flusher: {
          flushHere() {
            throw new Error("syncfs");
          },
        },
      },
      statements: {
        putUnsettled: {
          run: ({ payload }: Pick<Due, "payload">) => void stored.push(payload),
        },
        dropUnsettled: { run() {} },
      },
      mayWrite: () => true,
      fence: (pathIndex: number) => fenced.push(pathIndex),
      slow() {},
      flushedTo: 0,
    } as Pick<BodyPlacesParts, "layout"> as BodyPlacesParts);
    const { id } = foreignRecord(1).change.entry;
    const action = { id, kind: "rename", pathIndex: 0, token } as Pending;
    const due: Due[] = [{ action, payload: null }];
    assert(places.sync(due));
    assert.deepEqual(stored, [bytes]);
    places.stored([], false); // another one: that was rolled back
    assert.deepEqual([action.kind, action.token], ["rename", token]);
    assert.deepEqual(fenced, [0]);
    assert(places.sync(due));
    places.stored(due, true);
    assert.deepEqual([action.kind, action.token], ["write", ""]);
  });
});
