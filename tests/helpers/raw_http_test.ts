/** The load client reads what a server sends, however it is cut. */

import assert from "node:assert/strict";
import { Disconnected, headerIn, RawHttp, requestBytes } from "./raw_http.ts";

Deno.test("answers are read one after another on one connection", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const body = await request.bytes();
      return new Response(new Uint8Array(body.length * 3).fill(7), {
        status: 201,
        headers: { "x-method": request.method },
      });
    },
  );
  const base = `http://127.0.0.1:${server.addr.port}`;
  using raw = await RawHttp.open(base);
  for (const size of [0, 1, 1000, 100_000]) {
    const body = new Uint8Array(size);
    const request = requestBytes("PUT", "/", { host: "x", body });
    const answer = await raw.ask(request, "body");
    assert.equal(answer.status, 201);
    assert.equal(answer.bodyBytes, size * 3);
    assert(answer.body.every((byte) => byte === 7));
    assert.equal(headerIn(answer.head, "X-Method"), "PUT");
    assert.equal((await raw.ask(request)).bodyBytes, size * 3);
  }
});

Deno.test("an answer cut anywhere is put together, or reported", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    using conn = await listener.accept();
    const text = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    for (const byte of new TextEncoder().encode(text + text.slice(0, -1))) {
      await conn.write(Uint8Array.of(byte));
    }
  };
  const served = serve();
  using raw = await RawHttp.open(`http://127.0.0.1:${listener.addr.port}`);
  const answer = await raw.answer("body");
  assert.equal(new TextDecoder().decode(answer.body), "hello");
  await assert.rejects(raw.answer("body"), Disconnected);
  await served;
  listener.close();
});
