import assert from "node:assert/strict";
import { newReport, REPORTS_KEPT } from "./reports.ts";

const DAY_MS = 86_400_000;

Deno.test("the newest reports stay, and what is no report", async () => {
  const dir = await Deno.makeTempDir({ prefix: "kedge-reports-" });
  try {
    await Deno.writeTextFile(`${dir}/notes.jsonl`, "mine");
    const made: string[] = [];
    for (let day = 0; day < REPORTS_KEPT + 5; day++) {
      const kind = day % 2 === 0 ? "import" : "export";
      made.push(await newReport(dir, kind, day * DAY_MS));
    }
    const here = () =>
      [...Deno.readDirSync(dir)].map(({ name }) => `${dir}/${name}`).sort();
    const newest = made.slice(-REPORTS_KEPT);
    assert.deepEqual(here(), [...newest, `${dir}/notes.jsonl`].sort());

    const [oldest = "", ...others] = newest;
    const early = await newReport(dir, "import", 0);
    const now = here();
    assert(now.includes(early), "a clock that was set back loses no report");
    assert(!now.includes(oldest));
    assert(others.every((path) => now.includes(path)));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
