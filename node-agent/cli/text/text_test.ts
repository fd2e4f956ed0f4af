import assert from "node:assert/strict";
import fc from "fast-check";
import { messageOf, noAnswer } from "../errors.ts";
import { parseEntries } from "./entries.ts";
import { percentile } from "./percentile_core.ts";
import {
  addSample,
  beginProgress,
  etaMs,
  rateOf,
  shareOf,
} from "./progress_core.ts";
import { progressText } from "./progress_bar.ts";
import { safeName } from "./safe_name.ts";
import { cutTo, plainText, tableLines } from "./table.ts";
import {
  agoText,
  countText,
  durationText,
  latencyText,
  rateText,
  sizeText,
} from "./units.ts";

Deno.test("sizeText() stays within four digits", () => {
  const table: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KB"],
    [1536, "1.5 KB"],
    [10 * 1024, "10 KB"],
    [10_239, "10 KB"],
    [1024 ** 2 - 1, "1024 KB"],
    [5 * 1024 ** 3, "5 GB"],
    [1024 ** 6, "1024 PB"],
  ];
  for (const [bytes, text] of table) assert.equal(sizeText(bytes), text);
  assert.equal(rateText(2048), "2 KB/s");
});

Deno.test("durationText(), agoText() and latencyText() say the two units that matter", () => {
  assert.equal(durationText(7000), "0:07");
  assert.equal(durationText(725_000), "12:05");
  assert.equal(durationText(10_921_000), "3:02:01");
  assert.equal(durationText(440_000_000), "5d 02h");
  assert.equal(durationText(undefined), "-:--");
  assert.equal(agoText(null), "never");
  assert.equal(agoText(400), "now");
  assert.equal(agoText(4000), "4 s");
  assert.equal(agoText(200_000), "3 min");
  assert.equal(latencyText(0.4239), "0.42 ms");
  assert.equal(latencyText(12.34), "12.3 ms");
  assert.equal(latencyText(1200), "1.20 s");
  assert.equal(countText(1, "file"), "1 file");
  assert.equal(countText(0, "file"), "0 files");
});

Deno.test("tableLines() aligns, cuts, and bears missing cells", () => {
  assert.deepEqual(tableLines(["A", "N›"], [["x", "1"], ["long"]]), [
    "A     N",
    "x     1",
    "long",
  ]);
  assert.equal(cutTo("abcdef", 4), "abc…");
  assert.equal(cutTo("abcd", 4), "abcd");
});

Deno.test("plainText() lets nothing steer the terminal", () => {
  assert.equal(plainText("a\u001b[31mb\u202ec\n"), "a?[31mb?c?");
  assert.equal(plainText("ä 漢 x"), "ä 漢 x");
});

Deno.test("progress: rate over the window, ETA from it", () => {
  let progress = beginProgress(0, 1000);
  assert.equal(rateOf(progress), undefined);
  assert.equal(etaMs(progress), undefined);
  for (let second = 1; second <= 10; second++) {
    const doneBytes = second <= 5 ? second * 10 : 50 + (second - 5) * 100;
    progress = addSample(progress, { atMs: second * 1000, doneBytes });
  }
  // The slow start is outside the window of five seconds.
  assert((rateOf(progress) ?? 0) > 80);
  assert.equal(shareOf(progress), 0.55);
  const eta = etaMs(progress) ?? 0;
  assert(eta > 4000 && eta < 6000, String(eta));
  assert(progress.recent.length <= 8);
});

Deno.test("progress: an unknown total has no share and no ETA", () => {
  const progress = addSample(beginProgress(0, undefined), {
    atMs: 1000,
    doneBytes: 2048,
  });
  assert.equal(shareOf(progress), undefined);
  assert.equal(etaMs(progress), undefined);
  assert.equal(progressText("x", progress), "x  2 KB  2 KB/s");
});

Deno.test("progressText() shows bar, percent, rate and ETA", () => {
  const progress = addSample(beginProgress(0, 4096), {
    atMs: 1000,
    doneBytes: 2048,
  });
  assert.equal(
    progressText("a.jpg", progress),
    "a.jpg  [##########..........]   50 %  2 KB  2 KB/s  ETA 0:01",
  );
});

Deno.test("safeName() is always one harmless path segment", () => {
  const id = "group1/M00/00/00/abc.jpg";
  assert.equal(safeName("photo.jpg", id), "photo.jpg");
  assert.equal(safeName(null, id), "abc.jpg");
  assert.equal(safeName("../../etc/passwd", id), "passwd");
  assert.equal(safeName("..", id), "abc.jpg");
  assert.equal(safeName("C:\\x\\y.txt", id), "y.txt");
  assert.equal(safeName(".bashrc", id), "bashrc");
  assert.equal(safeName("a\u0000b\n", id), "a_b_");
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    const safe = safeName(name, id);
    assert(safe.length > 0 && !safe.includes("/") && !safe.includes("\\"));
    assert(!safe.startsWith(".") && !safe.includes("\0"));
  }));
});

Deno.test("parseEntries() keeps everything after the first =", () => {
  assert.deepEqual(parseEntries(["a=1", "b=x=y", "c="]), {
    a: "1",
    b: "x=y",
    c: "",
  });
  for (const word of ["a", "=b"]) {
    assert.throws(() => parseEntries([word]), /NAME=VALUE/);
  }
});

Deno.test("percentile() is the nearest rank", () => {
  const values = [5, 1, 4, 2, 3];
  assert.equal(percentile(values, 50), 3);
  assert.equal(percentile(values, 99), 5);
  assert.equal(percentile(values, 0), 1);
  assert.equal(percentile([], 50), undefined);
  assert.deepEqual(values, [5, 1, 4, 2, 3]);
});

Deno.test("noAnswer() names host and cause, never the capability", () => {
  const error = new TypeError(
    "error sending request for url (http://127.0.0.1:1/v1/files?cap=SECRET): client error (Connect): tcp connect error: Connection refused (os error 111)",
  );
  assert.equal(
    noAnswer("http://127.0.0.1:9/v1/files?cap=SECRET", error).message,
    "no answer from 127.0.0.1:9: Connection refused",
  );
  assert(!messageOf(error).includes("SECRET"));
});
