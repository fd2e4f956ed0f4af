import assert from "node:assert/strict";
import { MirrorReport } from "./control.ts";

const NONE = "0000000000000000";
const REPORT = {
  state: {
    role: "Primary",
    disk: "Diskless",
    connection: "WFReportParams",
    paused: false,
    generations: { current: NONE, bitmap: NONE, history: [NONE, NONE] },
    dirtyBits: 0,
  },
  backingBytes: 0,
  agreedBytes: 0,
  protocol: "C",
  discardMyData: false,
  crashedPrimary: false,
  willBeInconsistent: true,
  afterSplitBrain0: "disconnect",
  afterSplitBrain1: "disconnect",
  afterSplitBrain2: "disconnect",
  alwaysAsbp: false,
  rrConflict: "disconnect",
  dataIntegrity: "",
  verifyAlgorithm: "",
  checksumAlgorithm: "",
  tentative: false,
  again: false,
};

Deno.test("a report of a node that says nothing of exposed data is one", () => {
  assert.ok(MirrorReport.safeParse(REPORT).success);
});

Deno.test("a report keeps what a Primary without a disk has exposed", () => {
  const more = { kept: true, alone: "Outdated", exposed: "0123456789ABCDEF" };
  const parsed = MirrorReport.parse({ ...REPORT, ...more });
  assert.deepEqual(
    [parsed.kept, parsed.alone, parsed.exposed],
    [more.kept, more.alone, more.exposed],
  );
});

Deno.test("a report with words or names out of bounds is none", () => {
  const bad = [
    { exposed: "0123456789ABCDE" },
    { exposed: "0123456789abcdef" },
    { alone: "x".repeat(33) },
    { alone: "Up To Date" },
    { kept: "yes" },
  ];
  for (const part of bad) {
    const isReport = MirrorReport.safeParse({ ...REPORT, ...part }).success;
    assert.ok(!isReport, JSON.stringify(part));
  }
});
