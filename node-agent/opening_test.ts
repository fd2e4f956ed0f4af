import assert from "node:assert/strict";
import { Opening } from "./opening.ts";

const NOBODY = { address: () => "" };
const request = (method: string) => new Request("http://a/x", { method });

Deno.test("changes wait until the agent is open, reads do not", async () => {
  const opening = new Opening();
  const seen: string[] = [];
  const door = opening.door(({ method }) => {
    seen.push(method);
    return new Response(method);
  });
  const early = door(request("PUT"), NOBODY);
  for (const method of ["GET", "HEAD", "OPTIONS"]) {
    await door(request(method), NOBODY);
  }
  assert.deepEqual(seen, ["GET", "HEAD", "OPTIONS"]);

  opening.open();
  assert.equal(await (await early).text(), "PUT");
  assert(
    door(request("DELETE"), NOBODY) instanceof Response,
    "nobody waits any more",
  );
});
