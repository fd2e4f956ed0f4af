/** Cables can be cut one way and both ways, and everything goes away. 2 s. */

import assert from "node:assert/strict";
import { run } from "./child.ts";
import { hasNamespaces, type Host, Network } from "./network.ts";
import { Scope } from "./scope.ts";

const ignore = !await hasNamespaces("hosts on one machine");

Deno.test(
  { name: "a cut stops everything until it heals", ignore },
  async () => {
    await using scope = new Scope();
    const network = await Network.make(scope);
    const a = await network.host(scope, "a", 11);
    const b = await network.host(scope, "b", 12);
    assert.equal(await connect(a, b), "refused");
    await network.cutOneWay("a", "b");
    assert.equal(await connect(a, b), "silence");
    await network.heal();
    assert.equal(await connect(b, a), "refused");
    await network.cut("a", "b");
    assert.equal(await connect(b, a), "silence");
  },
);

Deno.test(
  { name: "a process of a host holds no mount of another test", ignore },
  async () => {
    await using scope = new Scope();
    const network = await Network.make(scope);
    const { prefix } = await network.host(scope, "a", 11);
    const [program = "", ...rest] = prefix;
    const { stdout } = await run([program, ...rest, "readlink", MOUNTS]);
    assert.equal(stdout.trim(), await Deno.readLink(MOUNTS));
  },
);

const MOUNTS = "/proc/self/ns/mnt";

/** A port where nobody listens refuses at once, if it can be reached. */
async function connect(from: Host, to: Host): Promise<"refused" | "silence"> {
  const [program = "", ...rest] = from.prefix;
  const probe = `exec 3<>/dev/tcp/${to.address}/9`;
  const { code } = await run([
    ...[program, ...rest, "timeout", "0.5"] as [string, ...string[]],
    ...["bash", "-c", probe],
  ]);
  return code === 124 ? "silence" : "refused";
}
