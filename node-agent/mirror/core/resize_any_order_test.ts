/** Growing a volume among everything else that people and networks do. */

import assert from "node:assert/strict";
import fc from "fast-check";
import {
  assertSameData,
  OLD,
  resize,
  sizes,
  synced,
  words,
  write,
} from "./resize_fixture.ts";

Deno.test("whatever people and the network do, both agree in the end", () => {
  const KIB = 1024;
  const step = fc.oneof(
    fc.record({ do: fc.constant("frames" as const), count: fc.nat(6) }),
    fc.record({ do: fc.constant("cut" as const) }),
    fc.record({ do: fc.constant("mend" as const) }),
    fc.record({
      do: fc.constant("enlarge" as const),
      node: fc.constantFrom("a" as const, "b" as const),
      byBytes: fc.constantFrom(256 * KIB, 1024 * KIB),
    }),
    fc.record({
      do: fc.constant("resize" as const),
      node: fc.constantFrom("a" as const, "b" as const),
      wish: fc.record({
        sizeBytes: fc.constantFrom(0, OLD + 128 * KIB),
        assumePeerHasSpace: fc.boolean(),
      }),
    }),
    fc.record({ do: fc.constant("write" as const), at: fc.nat(1000) }),
    fc.record({ do: fc.constant("verify" as const) }),
  );
  let grown = 0;
  const property = fc.property(
    fc.array(step, { maxLength: 25 }),
    fc.constantFrom("A" as const, "B" as const, "C" as const),
    (steps, protocol) => {
      const pair = synced({ protocol });
      const { a, b } = pair;
      for (const each of steps) {
        if (each.do === "frames") pair.frames(each.count);
        else if (each.do === "cut") pair.cut();
        else if (each.do === "mend") pair.mend();
        else if (each.do === "verify") a.core.verify.start({}, () => {});
        else if (each.do === "enlarge") {
          const node = pair[each.node];
          node.enlarge(node.data.length + each.byBytes, each.byBytes & 0x7f);
        } else if (each.do === "resize") resize(pair[each.node], each.wish);
        else {
          const blocks = a.core.sizeBytes / 4096;
          write(a, (each.at % blocks) * 4096, each.at);
        }
      }
      // Enough room, and whoever was refused for lack of it tries again.
      const most = Math.max(a.data.length, b.data.length);
      a.enlarge(most, 1);
      b.enlarge(most, 2);
      pair.mend();
      for (const node of [b, a]) pair.connect(node);
      pair.run();
      assert.equal(
        words(a),
        "Connected Primary/Secondary UpToDate/UpToDate",
        [...a.lines, ...b.lines].join("\n"),
      );
      assert.equal(new Set(sizes(pair)).size, 1);
      assert.equal(a.core.bitmap?.count, 0);
      const size = a.core.sizeBytes;
      grown += size > OLD ? 1 : 0;
      assertSameData(pair);
      const text = [...a.lines, ...b.lines].join("\n");
      assert.doesNotMatch(text, /Protocol error/);
    },
  );
  // The first is known to grow; by chance alone one in many runs saw none.
  const byBytes = 1024 * KIB;
  const wish = { sizeBytes: 0, assumePeerHasSpace: false };
  const grows = [
    { do: "enlarge", node: "a", byBytes },
    { do: "enlarge", node: "b", byBytes },
    { do: "resize", node: "a", wish },
    { do: "frames", count: 6 },
  ] as const;
  fc.assert(property, { numRuns: 60, examples: [[[...grows], "C"]] });
  assert.ok(grown > 0);
});
