import assert from "node:assert/strict";
import { rowOf } from "@kedge/schema/db";
import { encodeFileName } from "@kedge/schema/file-id";
import { BodyJournals } from "./body_journal.ts";
import { openForWriting } from "./database.ts";
import type { Pending } from "./file_actions.ts";
import { Finisher } from "./finisher.ts";
import { Layout } from "./layout.ts";
import { WriteStatements } from "./statements.ts";
import { factsOf, newEntry, someBytes, withDir } from "./store_fixture.ts";

/** A finisher of one path, and uploads of files to it. */
async function withFinisher(
  act: (rig: {
    readonly finisher: Finisher;
    readonly path: { isFenced: boolean };
    readonly upload: (number: number) => Pending;
  }) => Promise<void>,
): Promise<void> {
  await withDir(async (dir) => {
    await Deno.mkdir(`${dir}/p0/data/.tmp`, { recursive: true });
    const layout = new Layout(dir, [`${dir}/p0`]);
    await Deno.writeTextFile(layout.marker(0), "");
    const database = openForWriting(layout.database);
    const statements = new WriteStatements(database);
    const path = { isFenced: false };
    const finisher = new Finisher(layout, statements, {
      fence: (_, reason) => assert.fail(reason),
      mayWrite: () => !path.isFenced,
      lost: ({ id }) => assert.fail(`${id} is lost`),
      mended: ({ id }) => assert.fail(`${id} was never marked`),
    }, new BodyJournals(layout));
    const upload = (number: number): Pending => {
      const payload = someBytes(1000, number);
      const facts = factsOf(payload);
      const name = { origin: 1, createdS: 1, appender: false, extension: "" };
      const random = { random: number, digits: 0 };
      const id = `group1/M00/00/00/${
        encodeFileName({ ...facts, ...name, ...random })
      }`;
      const own = { pathIndex: 0, damaged: 0, blockCrcs: null };
      statements.putFile.run({ ...rowOf(newEntry(id, facts), own) });
      const action = {
        ...{ number, id, epoch: 1, version: 1, kind: "write" as const },
        ...{ pathIndex: 0, token: "", offset: 0 },
      };
      statements.putUnsettled.run({ ...action, payload });
      const pending = { ...action, replaces: false, sinceMs: 0, done: false };
      finisher.finish(pending, payload);
      return pending;
    };
    await act({ finisher, path, upload });
    database.close();
  });
}

Deno.test("what is renewed while it settles is flushed once more", () =>
  withFinisher(async ({ finisher, upload }) => {
    const first = upload(1);
    const settling = finisher.settle(1); // up to the flush
    finisher.renew(0);
    const second = upload(2);
    assert.deepEqual(await settling, [], "its copy was not flushed");
    const numbers = [...finisher.unsettled()].map(({ number }) => number);
    assert.deepEqual(numbers.sort(), [first.number, second.number]);
    finisher.retryStuck();
    assert.deepEqual(await finisher.settle(1), [first, second]);
    assert.deepEqual([...finisher.unsettled()], []);
  }));

Deno.test("nothing is settled on a path that is fenced meanwhile", () =>
  withFinisher(async ({ finisher, path, upload }) => {
    const first = upload(1);
    const settling = finisher.settle(1); // up to the flush
    path.isFenced = true;
    assert.deepEqual(await settling, [], "its disk failed");
    path.isFenced = false;
    finisher.retryStuck();
    assert.deepEqual(await finisher.settle(1), [first]);
  }));
