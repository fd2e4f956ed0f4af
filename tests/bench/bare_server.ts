/**
 * What a program of ten lines reaches: `Deno.serve` that streams to and from
 * the same disk, without a log, a checksum or a replica. The yardstick for large
 * files.
 *
 * ```sh
 * deno run -A tests/bench/bare_server.ts DIR
 * ```
 *
 * @module
 */

if (import.meta.main) {
  const dir = Deno.args[0] ?? ".";
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen({ port }) {
      const line = `${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`;
      Deno.stdout.writeSync(new TextEncoder().encode(line));
    },
  }, async (request) => {
    const path = dir + new URL(request.url).pathname;
    if (request.method === "PUT" && request.body !== null) {
      await Deno.writeFile(`${path}.tmp`, request.body);
      await Deno.rename(`${path}.tmp`, path);
      return new Response("{}", { status: 201 });
    }
    const file = await Deno.open(path);
    const { size } = await file.stat();
    return new Response(file.readable, {
      headers: { "content-length": String(size) },
    });
  });
}
