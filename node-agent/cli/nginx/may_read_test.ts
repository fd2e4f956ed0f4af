import assert from "node:assert/strict";
import { type MachineView, readNotes } from "./may_read.ts";

const GROUPS = ["root:x:0:", "kedge:x:900:", "shared:x:901:ann,www-data", ""];

/** A machine with these folders: permissions and group. */
function machine(folders: Record<string, [number, number]>): MachineView {
  return {
    groups: GROUPS,
    stat(path) {
      const [mode, gid] = folders[path] ?? [0o40755, 0];
      return Promise.resolve({ mode, gid });
    },
  };
}

Deno.test("readNotes() says nothing where nginx may enter", async () => {
  const open = machine({ "/srv/kedge": [0o40750, 901] });
  assert.deepEqual(await readNotes(["/srv/kedge/data"], open), []);
  const own = machine({ "/srv/kedge": [0o40751, 900] });
  assert.deepEqual(await readNotes(["/srv/kedge/data"], own), []);
});

Deno.test("readNotes() names the first folder that is closed, and what opens it", async () => {
  const closed = machine({
    "/srv/kedge": [0o40750, 900],
    "/srv/kedge/data": [0o40700, 0],
  });
  const [note, ...more] = await readNotes(
    ["/srv/kedge/data", "/srv/kedge/links"],
    closed,
  );
  assert.deepEqual(more, []);
  assert.match(note ?? "", /may not enter \/srv\/kedge:/);
  assert.match(note ?? "", /usermod -aG kedge www-data/);
  // Nobody is put into root's group.
  const roots = machine({ "/root": [0o40750, 0] });
  const [own] = await readNotes(["/root/kedge-data"], roots);
  assert.match(own ?? "", /Group=kedge/);
  const shut = machine({ "/srv/kedge": [0o40700, 900] });
  const [both] = await readNotes(["/srv/kedge"], shut);
  assert.match(both ?? "", /chmod g\+x \/srv\/kedge && usermod -aG kedge/);
});
