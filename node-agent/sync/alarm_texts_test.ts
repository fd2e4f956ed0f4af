import assert from "node:assert/strict";
import type { GroupRegister } from "@kedge/schema";
import { lostDatabaseText } from "./alarm_texts.ts";

const [OLD, NEW] = [crypto.randomUUID(), crypto.randomUUID()];

Deno.test("a lost database of the last node in sync says what to do", () => {
  const register = (insync: number[], members = [1, 2]): GroupRegister => ({
    group: "group1",
    gen: crypto.randomUUID(),
    epoch: 5,
    members: members.map((node) => ({ node, store: OLD })),
    insync,
  });
  const next = /kedge group force group1 1 --accept-data-loss$/;
  assert.match(lostDatabaseText(register([1]), 1, NEW) ?? "", next);
  assert.match(lostDatabaseText(register([1], [1]), 1, NEW) ?? "", next);
  assert.equal(lostDatabaseText(register([1]), 1, OLD), undefined);
  assert.equal(lostDatabaseText(register([1, 2]), 1, NEW), undefined);
  assert.equal(lostDatabaseText(register([2]), 1, NEW), undefined);
  assert.equal(lostDatabaseText(undefined, 1, NEW), undefined);
});
