import assert from "node:assert/strict";
import type { EarlyFiles } from "./early_files.ts";
import { StoreNews } from "./store_news.ts";

Deno.test("StoreNews has files written later while flushes are slow", () => {
  const log = { info() {}, warn() {}, error() {} };
  const news = new StoreNews(log);
  news.hear({ kind: "slow-flush", pauseMs: 5 }); // there are none yet
  const pauses: number[] = [];
  const pause = (pauseMs: number) => void pauses.push(pauseMs);
  news.early = { pause } as unknown as EarlyFiles;
  news.hear({ kind: "slow-flush", pauseMs: 7 });
  assert.deepEqual(pauses, [7]);
});
